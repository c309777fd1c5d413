"""What a program is started with so that it asks the gateway."""

import json
from pathlib import Path

import pytest

from portbroker.connect.clients import Gateway, Machine
from portbroker.connect.files import SettingsError
from portbroker.connect.launching import Launch, launch

GATEWAY = Gateway("http://g:1", ("fast", "slow"), "pb-key")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, {})


def test_any_program_gets_what_the_sdks_read(machine: Machine) -> None:
    started = launch(["python", "x.py"], GATEWAY, machine)
    assert started.command == ["python", "x.py"]
    assert started.within({"OPENAI_API_KEY": "mine", "PATH": "/bin"}) == {
        "PATH": "/bin",
        "ANTHROPIC_BASE_URL": "http://g:1",
        "ANTHROPIC_AUTH_TOKEN": "pb-key",
        "ANTHROPIC_API_KEY": "pb-key",
        "OPENAI_BASE_URL": "http://g:1/v1",
        "OPENAI_API_BASE": "http://g:1/v1",
        "OPENAI_API_KEY": "pb-key",
    }


def test_claude_has_no_second_key_and_its_own_model(machine: Machine) -> None:
    started = launch(["/opt/claude", "-p", "hi"], GATEWAY, machine)
    assert started.command == ["/opt/claude", "-p", "hi"]
    environment = started.within({"ANTHROPIC_API_KEY": "sk-mine"})
    assert "ANTHROPIC_API_KEY" not in environment
    assert (environment["ANTHROPIC_MODEL"], environment["ANTHROPIC_DEFAULT_HAIKU_MODEL"]) == ("fast", "fast")
    plain = launch(["claude"], Gateway("http://g:1"), machine)
    assert "ANTHROPIC_MODEL" not in plain.within({})


def test_settings_of_claude_that_would_win_are_overruled(machine: Machine) -> None:
    file = machine.home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text('{"env": {"ANTHROPIC_BASE_URL": "http://elsewhere", "ANTHROPIC_AUTH_TOKEN": "x", "A": "1"}}')
    first, option, said, last = launch(["claude", "-p"], GATEWAY, machine).command
    assert (first, option, last) == ("claude", "--settings", "-p")
    assert json.loads(said) == {"env": {"ANTHROPIC_BASE_URL": "http://g:1"}}
    file.write_text("{broken")
    assert launch(["claude"], GATEWAY, machine).command == ["claude"]


def test_codex_has_a_provider_of_its_own_and_no_key_in_its_arguments(machine: Machine) -> None:
    started = launch(["codex", "exec", "hi"], GATEWAY, machine)
    assert started.command[-2:] == ["exec", "hi"]
    assert 'model_providers.portbroker.base_url="http://g:1/v1"' in started.command
    assert "pb-key" not in " ".join(started.command)
    assert started.within({})["PORTBROKER_API_KEY"] == "pb-key"
    assert 'model_providers.portbroker.env_key="PORTBROKER_API_KEY"' in started.command


def test_opencode_keeps_what_it_was_told_besides(tmp_path: Path) -> None:
    given = {"theme": "dark", "provider": {"other": {}}}
    machine = Machine(tmp_path, {"OPENCODE_CONFIG_CONTENT": json.dumps(given)})
    said = json.loads(launch(["opencode"], GATEWAY, machine).within({})["OPENCODE_CONFIG_CONTENT"])
    assert said["theme"] == "dark"
    assert list(said["provider"]) == ["other", "portbroker"]
    assert said["model"] == "portbroker/fast"
    broken = Machine(tmp_path, {"OPENCODE_CONFIG_CONTENT": "{"})
    assert "portbroker/fast" in launch(["opencode"], GATEWAY, broken).within({})["OPENCODE_CONFIG_CONTENT"]


def test_qwen_and_aider_are_told_in_their_own_words(machine: Machine) -> None:
    qwen = launch(["qwen", "-p", "hi"], GATEWAY, machine)
    assert qwen.command[1:5] == ["--auth-type", "openai", "--openai-base-url", "http://g:1/v1"]
    assert "pb-key" not in " ".join(qwen.command)
    assert launch(["qwen", "mcp", "list"], GATEWAY, machine).command == ["qwen", "mcp", "list"]
    aider = launch(["aider"], GATEWAY, machine).within({})
    assert (aider["AIDER_MODEL"], aider["AIDER_OPENAI_API_BASE"]) == ("openai/fast", "http://g:1/v1")


def test_cline_is_refused_with_what_to_do_instead(machine: Machine) -> None:
    with pytest.raises(SettingsError, match="from its settings alone") as caught:
        launch(["cline"], GATEWAY, machine)
    assert caught.value.hint == "use `portbroker connect cline`"


def test_a_key_is_not_shown_with_the_launch() -> None:
    assert "pb-key" not in repr(Launch(["x"], {"A": "pb-key"}))
