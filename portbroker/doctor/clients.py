"""Clients: whether their settings lead here.

The one rule: only settings that are there are looked at, and none is read aloud but for an address.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from portbroker.connect import files
from portbroker.connect.asking import Unreachable, ask
from portbroker.connect.clients import CLIENTS, Client, Gateway, Machine
from portbroker.connect.files import SettingsError
from portbroker.connect.texts import TextError, found
from portbroker.doctor.findings import Finding, bad, doubtful, good


def look(url: str, machine: Machine) -> list[Finding]:
    """What is to say of all clients that name a gateway, and of variables that do."""
    return [*(finding for client in CLIENTS.values() for finding in _client(client, url, machine)),
            *_variables(url, machine)]  # fmt: skip


def _client(client: Client, url: str, machine: Machine) -> Iterable[Finding]:
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
