"""A program started with the gateway in its environment, and no file changed.

The one rule: what is set is set for that process alone; a key goes through its environment, never its arguments, which
all users of a machine can read.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from portbroker.connect import files
from portbroker.connect.clients import CLIENTS, OWN, Gateway, Machine, opencode_provider, variables
from portbroker.connect.files import SettingsError
from portbroker.connect.texts import TextError

_KEY: Final = "PORTBROKER_API_KEY"
_QWEN_COMMANDS: Final = frozenset({
    "auth", "board", "channel", "extensions", "hooks", "mcp", "review", "sandbox", "serve", "sessions", "update",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Launch:
    """A command line, and what its environment has beside ours; None takes a variable away."""

    command: Sequence[str]
    environment: Mapping[str, str | None] = field(repr=False)

    def within(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of the process."""
        wanted = {**environment, **self.environment}
        return {name: value for name, value in wanted.items() if value is not None}


def launch(command: Sequence[str], gateway: Gateway, machine: Machine) -> Launch:
    """How a command is started so that it asks the gateway. Raises `SettingsError` for one that cannot be."""
    name = program(command)
    own = _OWN.get(name)
    more = own(command[1:], gateway, machine) if own else Launch(command[1:], {"ANTHROPIC_API_KEY": gateway.shown_key})
    # Programs on this machine that have a proxy would send it what is meant for a neighbour.
    return Launch([command[0], *more.command], {**variables(gateway), **more.environment})


def program(command: Sequence[str]) -> str:
    """The name of what is started, without its place."""
    return Path(command[0]).name.removesuffix(".exe").removesuffix(".cmd")


def _claude(arguments: Sequence[str], gateway: Gateway, machine: Machine) -> Launch:
    environment: dict[str, str | None] = {"ANTHROPIC_API_KEY": None}  # it would ask which of the two is meant
    if gateway.models:
        environment |= dict.fromkeys(("ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL"), gateway.models[0])
    wanted = {name: value for name, value in {**variables(gateway), **environment}.items() if value is not None}
    said = {name: wanted[name] for name in _claude_env(machine) if name in wanted and name != "ANTHROPIC_AUTH_TOKEN"}
    # What its settings file says of its environment counts more than the environment; what `--settings` says, most.
    first = ["--settings", json.dumps({"env": said})] if said and "--settings" not in arguments else []
    return Launch([*first, *arguments], environment)


def _claude_env(machine: Machine) -> Sequence[str]:
    """The variables that the settings of Claude Code set."""
    change = CLIENTS["claude"].changes(Gateway(""), machine)[0]
    try:
        env = change.kind.read(files.read(change.file) or "").get("env")
    except (TextError, SettingsError):
        return ()  # then it does not read them either
    return tuple(env) if isinstance(env, dict) else ()


def _codex(arguments: Sequence[str], gateway: Gateway, _: Machine) -> Launch:
    provider = {"name": "PortBroker", "base_url": gateway.v1, "wire_api": "responses", "env_key": _KEY}
    said = {"model_provider": OWN, "model": gateway.models[0]}
    said |= {f"model_providers.{OWN}.{key}": value for key, value in provider.items()}
    options = [option for key, value in said.items() for option in ("-c", f"{key}={json.dumps(value)}")]
    return Launch([*options, *arguments], {_KEY: gateway.shown_key})


def _opencode(arguments: Sequence[str], gateway: Gateway, machine: Machine) -> Launch:
    try:
        given = json.loads(machine.environment.get("OPENCODE_CONFIG_CONTENT") or "{}")
    except ValueError:
        given = {}
    providers = {**given.get("provider", {}), OWN: opencode_provider(gateway)}
    content = {**given, "provider": providers, "model": f"{OWN}/{gateway.models[0]}"}
    return Launch(arguments, {"OPENCODE_CONFIG_CONTENT": json.dumps(content)})


def _qwen(arguments: Sequence[str], gateway: Gateway, _: Machine) -> Launch:
    said = ["--auth-type", "openai", "--openai-base-url", gateway.v1, "--model", gateway.models[0]]
    # Its own commands ask no model and refuse options that they do not know.
    options = [] if arguments and arguments[0] in _QWEN_COMMANDS else said
    return Launch([*options, *arguments], {"OPENAI_MODEL": gateway.models[0]})


def _aider(arguments: Sequence[str], gateway: Gateway, _: Machine) -> Launch:
    environment = {"AIDER_OPENAI_API_BASE": gateway.v1, "AIDER_OPENAI_API_KEY": gateway.shown_key}
    return Launch(arguments, {**environment, "AIDER_MODEL": f"openai/{gateway.models[0]}"})


def _cline(_: Sequence[str], __: Gateway, ___: Machine) -> Launch:
    raise SettingsError("Cline takes its provider from its settings alone", "use `portbroker connect cline`")


_OWN: Final[Mapping[str, Callable[[Sequence[str], Gateway, Machine], Launch]]] = {
    "claude": _claude, "codex": _codex, "opencode": _opencode, "qwen": _qwen, "aider": _aider, "cline": _cline,
}  # fmt: skip
"""By the name of a program, what it needs beside the variables of the SDKs, or instead."""
