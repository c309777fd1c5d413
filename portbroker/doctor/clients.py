"""Clients: whether their settings lead here.

The one rule: only settings that are there are looked at, and none is read aloud but for an address.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

import orjson

from portbroker.call import parse_call
from portbroker.connect import files
from portbroker.connect.asking import Unreachable, ask
from portbroker.connect.clients import CLIENTS, Client, Gateway, Machine
from portbroker.connect.files import SettingsError
from portbroker.connect.texts import TextError, found
from portbroker.dialects.registry import OPENAI_CHAT
from portbroker.doctor.findings import Finding, bad, doubtful, good
from portbroker.errors import GatewayError
from portbroker.facts import Facts
from portbroker.snapshot import Snapshot

_CLAUDE: Final = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")
"""What Claude Code 2.1 asks for when nothing is set, or one of its short names."""
_SHORT: Final = frozenset({"default", "best", "opus", "sonnet", "haiku", "opusplan"})


def look(url: str, machine: Machine, snapshot: Snapshot | None) -> list[Finding]:
    """What is to say of all clients that name a gateway, and of variables that do; `snapshot` is what it serves."""
    return [*(finding for client in CLIENTS.values() for finding in _client(client, url, machine, snapshot)),
            *_variables(url, machine)]  # fmt: skip


def _client(client: Client, url: str, machine: Machine, snapshot: Snapshot | None) -> Iterable[Finding]:
    change = client.changes(Gateway("", ("",)), machine)[0]
    again = f"`portbroker connect {client.name}`"
    try:
        text = files.read(change.file)
        values = change.kind.read(text or "")
    except TextError as error:
        yield bad(client.title, f"{change.file}:{error.line}:{error.column}: {error}", "mend it there")
        return
    except SettingsError as error:
        yield bad(client.title, str(error), error.hint or "mend it there")
        return
    address = found(values, client.address)
    if not isinstance(address, str):
        return
    if not _same_place(address, url):
        yield doubtful(client.title, f"{change.file} leads to {address}, not here", again)
    elif not _chosen(client, values):
        yield doubtful(client.title, f"{change.file} knows the gateway, but another is chosen", again)
    else:
        yield good(client.title, f"{change.file} leads here")
        if client.key is not None:
            yield from _key(client, url, found(values, client.key), again)
        if snapshot is not None:
            yield from _models(client, found(values, client.model), snapshot)


def _chosen(client: Client, values: object) -> bool:
    """Whether the client asks what its settings know."""
    return client.chosen is None or str(found(values, client.chosen[0])).startswith(client.chosen[1])


def _key(client: Client, url: str, key: object, again: str) -> Iterable[Finding]:
    try:
        said = ask(url, "/v1/models", key=key if isinstance(key, str) else "")
    except Unreachable:
        return  # said of the gateway already
    if said.status in (401, 403):
        yield bad(client.title, f"the gateway refuses its key: {said.message}", again)


def _models(client: Client, named: object, snapshot: Snapshot) -> Iterable[Finding]:
    """Whether what the client asks for is served."""
    for model in _asked(client, named):
        call = parse_call(orjson.dumps({"model": model, "messages": []}), OPENAI_CHAT)
        try:
            snapshot.resolve(Facts(call, {}))
        except GatewayError as error:
            yield bad(client.title, str(error), f"`portbroker explain --model {model}` says more")


def _asked(client: Client, named: object) -> Sequence[str]:
    """The names by which it asks."""
    if client.name == "claude" and (not isinstance(named, str) or named.removesuffix("[1m]") in _SHORT):
        return _CLAUDE
    prefix = client.chosen[1] if client.chosen and client.chosen[1].endswith("/") else ""
    return (named.removeprefix(prefix),) if isinstance(named, str) else ()


def _variables(url: str, machine: Machine) -> Iterable[Finding]:
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"):
        address = machine.environment.get(name)
        if address and not _same_place(address, url):
            yield doubtful("environment", f"{name} leads to {address}, not here", 'eval "$(portbroker connect env)"')


def _same_place(one: str, other: str) -> bool:
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return "127.0.0.1" if host in ("localhost", "::1") else host, parts.port
