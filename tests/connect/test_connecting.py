"""A client is connected, lives with it, and is put back."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml

from portbroker.connect.clients import CLIENTS, Gateway, Machine, variables
from portbroker.connect.connecting import connect, connecting, disconnect, disconnecting
from portbroker.connect.files import SettingsError

GATEWAY = Gateway("http://127.0.0.1:8000", ("fast", "slow"), "pb-secret-key")
FILES = {
    "claude": ".claude/settings.json",
    "codex": ".codex/config.toml",
    "opencode": ".config/opencode/opencode.jsonc",
    "qwen": ".qwen/settings.json",
    "aider": ".aider.conf.yml",
    "cline": ".cline/data/settings/providers.json",
    "llm": ".config/io.datasette.llm/extra-openai-models.yaml",
}
"""Where each has its settings, and below what a user may have there."""
OWN = {
    "claude": '{\n    "model": "opus",\n    "env": {"A": "1"}\n}',
    "codex": '# mine\nmodel = "gpt-5" # the best\n\n[tui]\nx = 1\n',
    "opencode": '{\n  // mine\n  "theme": /* at night */ "dark",\n}\n',
    "qwen": '{\n  // mine\n  "model": {"name": "qwen3", "maxSessionTurns": 9},\n  "security": {}\n}\n',
    "aider": "# mine\nmodel: sonnet # the best\nauto-commits: false\n",
    "cline": '{"version": 1, "lastUsedProvider": "cline", "providers": {"cline": {"settings": {}}}}',
    "llm": "# mine\n- model_id: other\n  model_name: o\n  api_base: http://127.0.0.1:1/v1\n",
}

each_client = pytest.mark.parametrize("name", CLIENTS)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, {}, "linux")


def own(machine: Machine, name: str) -> Path:
    """The client's file with what its user has there."""
    file = machine.home / FILES[name]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(OWN[name])
    return file


def connected(machine: Machine, name: str, gateway: Gateway = GATEWAY) -> None:
    connect(CLIENTS[name], connecting(CLIENTS[name], gateway, machine), machine)


def undone(machine: Machine, name: str) -> list[str]:
    """What is left of the settings after they are put back."""
    plans = disconnecting(CLIENTS[name], machine)
    disconnect(CLIENTS[name], plans, machine)
    return [left for plan in plans for left in plan.left]


@each_client
def test_what_was_there_is_put_back_to_the_byte(machine: Machine, name: str) -> None:
    file = own(machine, name)
    connected(machine, name)
    assert "127.0.0.1:8000" in file.read_text()
    assert undone(machine, name) == []
    assert file.read_text() == OWN[name]
    assert disconnecting(CLIENTS[name], machine) == ()


@each_client
def test_files_that_were_not_there_are_gone_again(machine: Machine, name: str) -> None:
    connected(machine, name)
    written = [file for file in machine.home.rglob("*") if file.is_file()]
    assert any("127.0.0.1:8000" in file.read_text() for file in written)
    assert {file.stat().st_mode & 0o777 for file in written} == {0o600}
    undone(machine, name)
    assert not [file for file in machine.home.rglob("*") if file.is_file()]


@each_client
def test_connecting_again_elsewhere_still_undoes_to_the_beginning(machine: Machine, name: str) -> None:
    file = own(machine, name)
    connected(machine, name)
    once = file.read_text()
    connected(machine, name)
    assert file.read_text() == once
    connected(machine, name, Gateway("http://127.0.0.1:9999", ("other",), "pb-another-key"))
    assert "9999" in file.read_text()
    assert "8000" not in file.read_text()
    undone(machine, name)
    assert file.read_text() == OWN[name]


def edited(name: str, text: str) -> str:
    """The text after its user has added a setting in the middle of ours, or beside it."""
    if name == "codex":
        return text.replace("[tui]\n", '[tui]\ny = 2\n[mcp_servers.a]\ncommand = "b"\n')
    if name == "aider":
        return text + "dark-mode: true\n"
    if name == "llm":
        return text + "- model_id: third\n  model_name: t\n"
    at = text.rindex("}")
    head = text[:at].rstrip()
    return head + ("" if head.endswith(",") else ",") + '\n  "later": [1, 2]\n' + text[at:]


@each_client
def test_what_was_edited_in_between_stays(machine: Machine, name: str) -> None:
    file = own(machine, name)
    connected(machine, name)
    file.write_text(edited(name, file.read_text()))
    assert undone(machine, name) == []
    before, after = OWN[name], file.read_text()
    assert "127.0.0.1:8000" not in after
    assert after.replace(" ", "").replace("\n", "") == edited(name, before).replace(" ", "").replace("\n", "")


@each_client
def test_a_file_that_its_client_laid_out_anew_is_still_put_back(machine: Machine, name: str) -> None:
    file = own(machine, name)
    connected(machine, name)
    text = file.read_text()
    if name in ("claude", "cline"):
        file.write_text(json.dumps(json.loads(text), indent=4, sort_keys=True) + "\n")
    else:
        file.write_text(text.replace("\n", "\r\n"))
    assert undone(machine, name) == []
    assert "8000" not in file.read_text()
    assert "pb-secret" not in file.read_text()


def test_a_value_that_was_changed_since_is_the_users(machine: Machine) -> None:
    file = own(machine, "codex")
    connected(machine, "codex")
    file.write_text(file.read_text().replace('model = "fast"', 'model = "slow"'))
    assert undone(machine, "codex") == ["model"]
    assert tomllib.loads(file.read_text()) == {"model": "slow", "tui": {"x": 1}}


def test_a_key_that_is_deleted_in_between_is_not_missed(machine: Machine) -> None:
    file = own(machine, "claude")
    connected(machine, "claude")
    file.write_text("{}")
    assert undone(machine, "claude") == []
    assert file.read_text() == "{}"


def test_each_file_says_what_its_client_reads(machine: Machine) -> None:
    for name in CLIENTS:
        connected(machine, name)

    def text(name: str) -> str:
        return (machine.home / FILES[name].replace("jsonc", "json")).read_text()

    claude = json.loads(text("claude"))
    assert claude["env"]["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8000"
    assert claude["env"]["ANTHROPIC_AUTH_TOKEN"] == "pb-secret-key"
    codex = tomllib.loads(text("codex"))
    assert (codex["model"], codex["model_provider"]) == ("fast", "portbroker")
    assert codex["model_providers"]["portbroker"] == {
        "name": "PortBroker", "base_url": "http://127.0.0.1:8000/v1", "wire_api": "responses",
        "experimental_bearer_token": "pb-secret-key",
    }  # fmt: skip
    opencode = json.loads(text("opencode"))
    assert opencode["model"] == "portbroker/fast"
    assert list(opencode["provider"]["portbroker"]["models"]) == ["fast", "slow"]
    assert yaml.safe_load(text("aider"))["model"] == "openai/fast"
    assert yaml.safe_load(text("llm"))[0]["api_key_name"] == "portbroker"
    assert json.loads((machine.home / FILES["llm"]).with_name("keys.json").read_text()) == {
        "portbroker": "pb-secret-key"
    }


def test_variables_move_the_settings_as_they_move_those_of_the_client(tmp_path: Path) -> None:
    names = ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME", "QWEN_HOME", "CLINE_DATA_DIR", "LLM_USER_PATH")
    machine = Machine(tmp_path / "home", {name: str(tmp_path / name) for name in names})
    changed = [change.file for client in CLIENTS.values() for change in client.changes(GATEWAY, machine)]
    moved = {file.relative_to(tmp_path).parts[0] for file in changed}
    assert moved == {*names, "home"}  # Aider has none
    assert Machine(tmp_path, {}, "darwin").home == tmp_path


def test_opencode_is_set_in_the_file_that_it_reads_last(machine: Machine) -> None:
    directory = machine.home / ".config" / "opencode"
    directory.mkdir(parents=True)
    for name in ("config.json", "opencode.json", "opencode.jsonc"):
        (directory / name).write_text("{}")
        assert CLIENTS["opencode"].changes(GATEWAY, machine)[0].file == directory / name
        connected(machine, "opencode")
        assert "portbroker" in (directory / name).read_text()
    assert [file.read_text() for file in sorted(directory.iterdir())][:2] == ["{}", "{}"]


def test_a_broken_file_is_refused_and_stays(machine: Machine) -> None:
    file = own(machine, "claude")
    file.write_text('{\n  "env": {,}\n}')
    with pytest.raises(SettingsError, match=r"settings\.json:2:11: a name in double quotes is expected"):
        connected(machine, "claude")
    assert file.read_text() == '{\n  "env": {,}\n}'
    assert disconnecting(CLIENTS["claude"], machine) == ()
    file.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="byte 0 is not UTF-8"):
        connected(machine, "claude")


def test_a_file_that_may_not_be_written_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    file = own(machine, "claude")
    monkeypatch.setattr("os.access", lambda *_: False)  # for root, no file is read-only
    with pytest.raises(SettingsError, match="cannot be written: it is read-only"):
        connected(machine, "claude")
    assert file.read_text() == OWN["claude"]


def test_a_directory_that_cannot_be_made_is_refused(machine: Machine) -> None:
    (machine.home / ".claude").write_text("a file")
    with pytest.raises(SettingsError, match="cannot be"):
        connected(machine, "claude")


def test_a_link_stays_a_link_and_a_mode_stays(machine: Machine) -> None:
    file = own(machine, "codex")
    real = machine.home / "dotfiles.toml"
    file.rename(real)
    file.symlink_to(real)
    real.chmod(0o644)
    connected(machine, "codex")
    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o644
    assert "8000" in real.read_text()


def test_the_variables_are_those_of_the_sdks() -> None:
    assert variables(Gateway("http://g", (), "")) == {
        "ANTHROPIC_BASE_URL": "http://g",
        "ANTHROPIC_AUTH_TOKEN": "portbroker",
        "OPENAI_BASE_URL": "http://g/v1",
        "OPENAI_API_BASE": "http://g/v1",
        "OPENAI_API_KEY": "portbroker",
    }
