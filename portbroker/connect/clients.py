"""The clients whose settings are known: where they stand, and what points them at a gateway.

The one rule: what is said of a client was read off its package and tried with it, in the version that is named.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from portbroker.connect import texts
from portbroker.connect.changes import Change, Setting
from portbroker.connect.json_text import JsonText
from portbroker.connect.toml_text import TomlText
from portbroker.connect.yaml_text import YamlItems, YamlText

NO_KEY: Final = "portbroker"
"""What clients send that insist on a key, where the gateway asks for none."""
OWN: Final = "portbroker"
"""The name under which clients know the gateway."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a client is pointed at. `models` are the names to offer, the first of them the one to begin with."""

    url: str
    models: tuple[str, ...] = ()
    key: str = ""

    @property
    def v1(self) -> str:
        return f"{self.url}/v1"

    @property
    def shown_key(self) -> str:
        return self.key or NO_KEY


@dataclass(frozen=True, slots=True)
class Machine:
    """Where settings are looked for."""

    home: Path
    environment: Mapping[str, str]
    platform: str = sys.platform

    def directory(self, variable: str, *otherwise: str) -> Path:
        """The directory that a variable names, else one below the user's own."""
        named = self.environment.get(variable, "").strip()
        return Path(named).expanduser() if named else self.home.joinpath(*otherwise)


@dataclass(frozen=True, slots=True)
class Client:
    """One client. `address`, `key` and `model` are where its first file names the gateway, what opens it and what is
    asked of it.

    `chosen`: there, its value begins so when the client asks the gateway and not another. `names` says that it must be
    told which models there are; `next` is what to do then.
    """

    name: str
    title: str
    changes: Callable[[Gateway, Machine], tuple[Change, ...]]
    address: texts.Path
    key: texts.Path | None
    model: texts.Path
    next: str
    chosen: tuple[texts.Path, str] | None = None
    names: bool = True


def _claude(gateway: Gateway, machine: Machine) -> tuple[Change, ...]:
    file = machine.directory("CLAUDE_CONFIG_DIR", ".claude") / "settings.json"
    settings = [
        Setting(("env", "ANTHROPIC_BASE_URL"), gateway.url),
        Setting(("env", "ANTHROPIC_AUTH_TOKEN"), gateway.shown_key),
    ]
    if gateway.models:
        # Titles and other small things are asked of the smallest model, whatever the conversation is held with.
        settings += [
            Setting(("env", "ANTHROPIC_DEFAULT_HAIKU_MODEL"), gateway.models[0]),
            Setting(("model",), gateway.models[0]),
        ]
    return (Change(file, JsonText(), tuple(settings)),)


def _codex(gateway: Gateway, machine: Machine) -> tuple[Change, ...]:
    provider = {"name": "PortBroker", "base_url": gateway.v1, "wire_api": "responses"}
    if gateway.key:
        provider["experimental_bearer_token"] = gateway.key
    settings = [
        Setting(("model",), gateway.models[0]),
        Setting(("model_provider",), OWN),
        *(Setting(("model_providers", OWN, key), value) for key, value in provider.items()),
    ]
    return (Change(machine.directory("CODEX_HOME", ".codex") / "config.toml", TomlText(), tuple(settings)),)


def opencode_provider(gateway: Gateway) -> dict[str, Any]:
    """The gateway as OpenCode knows providers."""
    return {
        "npm": "@ai-sdk/openai-compatible",
        "name": "PortBroker",
        "options": {"baseURL": gateway.v1, "apiKey": gateway.shown_key},
        "models": {model: {} for model in gateway.models},
    }


def _opencode(gateway: Gateway, machine: Machine) -> tuple[Change, ...]:
    directory = machine.directory("XDG_CONFIG_HOME", ".config") / "opencode"
    # As it does itself: the first that is there; of several, what stands in an earlier one counts.
    known = [directory / name for name in ("opencode.jsonc", "opencode.json", "config.json")]
    file = next((file for file in known if file.exists()), known[1])
    settings = (
        Setting(("provider", OWN), opencode_provider(gateway)),
        Setting(("model",), f"{OWN}/{gateway.models[0]}"),
    )
    return (Change(file, JsonText(lenient=True), settings),)


def _qwen(gateway: Gateway, machine: Machine) -> tuple[Change, ...]:
    settings = (
        Setting(("security", "auth", "selectedType"), "openai"),
        Setting(("security", "auth", "apiKey"), gateway.shown_key),
        Setting(("security", "auth", "baseUrl"), gateway.v1),
        Setting(("model", "name"), gateway.models[0]),
    )
    file = machine.directory("QWEN_HOME", ".qwen") / "settings.json"
    return (Change(file, JsonText(lenient=True), settings),)


def _aider(gateway: Gateway, machine: Machine) -> tuple[Change, ...]:
    settings = (
        Setting(("openai-api-base",), gateway.v1),
        Setting(("openai-api-key",), gateway.shown_key),
        Setting(("model",), f"openai/{gateway.models[0]}"),
    )
    return (Change(machine.home / ".aider.conf.yml", YamlText(), settings),)


def _cline(gateway: Gateway, machine: Machine) -> tuple[Change, ...]:
    provider = {
        "provider": "openai-compatible",
        "apiKey": gateway.shown_key,
        "model": gateway.models[0],
        "baseUrl": gateway.v1,
    }
    at = ("providers", "openai-compatible")
    settings = [
        Setting(("version",), 1, kept=True),
        Setting(("lastUsedProvider",), "openai-compatible"),
        *(Setting((*at, "settings", key), value) for key, value in provider.items()),
        Setting((*at, "updatedAt"), "2026-01-01T00:00:00.000Z", kept=True),  # without a time, the file is reset
        Setting((*at, "tokenSource"), "manual", kept=True),
    ]
    data = machine.directory("CLINE_DIR", ".cline") / "data"
    file = machine.directory("CLINE_DATA_DIR", str(data)) / "settings" / "providers.json"
    return (Change(file, JsonText(), tuple(settings)),)


def _llm(gateway: Gateway, machine: Machine) -> tuple[Change, ...]:
    app = ("Library", "Application Support") if machine.platform == "darwin" else (".config",)
    directory = machine.directory("LLM_USER_PATH", *app, "io.datasette.llm")
    entry: dict[str, Any] = {"model_id": OWN, "model_name": gateway.models[0], "api_base": gateway.v1}
    entry |= {"supports_tools": True, "supports_schema": True}
    models = directory / "extra-openai-models.yaml"
    if not gateway.key:
        return (Change(models, YamlItems("model_id"), (Setting((OWN,), entry),)),)
    return (
        Change(models, YamlItems("model_id"), (Setting((OWN,), {**entry, "api_key_name": OWN}),)),
        Change(directory / "keys.json", JsonText(), (Setting((OWN,), gateway.key),)),
    )


_CLINE: Final = ("providers", "openai-compatible", "settings")

CLIENTS: Final = {
    client.name: client
    for client in (
        Client("claude", "Claude Code", _claude, ("env", "ANTHROPIC_BASE_URL"), ("env", "ANTHROPIC_AUTH_TOKEN"),
               ("model",), "start `claude`", names=False),
        Client("codex", "Codex CLI", _codex, ("model_providers", OWN, "base_url"),
               ("model_providers", OWN, "experimental_bearer_token"), ("model",), "start `codex`",
               (("model_provider",), OWN)),
        Client("opencode", "OpenCode", _opencode, ("provider", OWN, "options", "baseURL"),
               ("provider", OWN, "options", "apiKey"), ("model",), "start `opencode`", (("model",), f"{OWN}/")),
        Client("qwen", "Qwen Code", _qwen, ("security", "auth", "baseUrl"), ("security", "auth", "apiKey"),
               ("model", "name"), "start `qwen`", (("security", "auth", "selectedType"), "openai")),
        Client("aider", "Aider", _aider, ("openai-api-base",), ("openai-api-key",), ("model",), "start `aider`",
               (("model",), "openai/")),
        Client("cline", "Cline", _cline, (*_CLINE, "baseUrl"), (*_CLINE, "apiKey"), (*_CLINE, "model"),
               "start `cline`", (("lastUsedProvider",), "openai-compatible")),
        Client("llm", "llm", _llm, (OWN, "api_base"), None, (OWN, "model_name"), f"ask with `llm -m {OWN} 'hello'`"),
    )
}  # fmt: skip
"""By name, in the order of the pages."""


def variables(gateway: Gateway) -> dict[str, str]:
    """What points the SDKs, and most programs made with them, at a gateway."""
    return {
        "ANTHROPIC_BASE_URL": gateway.url,
        "ANTHROPIC_AUTH_TOKEN": gateway.shown_key,
        "OPENAI_BASE_URL": gateway.v1,
        "OPENAI_API_BASE": gateway.v1,  # what LiteLLM and programs of the SDK's first years read
        "OPENAI_API_KEY": gateway.shown_key,
    }
