"""The command line as a whole: which command, which file, which stream, which exit status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portbroker.cli import COMMANDS, main


def portbroker(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    variables = {k: v for k, v in os.environ.items() if k not in ("PORTBROKER_CONFIG", "PORTBROKER_DEBUG")}
    command = [sys.executable, "-m", "portbroker", *args]
    return subprocess.run(command, cwd=cwd, env=variables | env, capture_output=True, text=True, timeout=30)


def test_help_names_every_command_and_goes_to_standard_output(tmp_path: Path) -> None:
    result = portbroker("--help", cwd=tmp_path)
    assert result.returncode == 0
    assert all(f"  {name} " in result.stdout for name in COMMANDS)
    assert not result.stderr


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"portbroker {version('portbroker')}\n"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_a_command_has_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([name, "--help"])
    assert exit_.value.code == 0
    assert "examples:\n  portbroker" in capsys.readouterr().out


def test_an_unknown_command_is_a_usage_error_that_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chek"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "error: there is no command `chek`\nhint:  did you mean `portbroker check`?\n"
    assert not captured.out


def test_an_unknown_argument_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["check", "--frmat", "json"])
    assert exit_.value.code == 2
    assert "unrecognized arguments: --frmat" in capsys.readouterr().err


@pytest.mark.parametrize("args", [[], ["serve"], ["check"], ["test"], ["explain", "--model", "m"], ["show", "P", "m"]])
def test_without_a_file_every_command_says_how_to_make_one(
    args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PORTBROKER_CONFIG", raising=False)
    assert main(args) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: portbroker.yaml: no such file\nhint:  `portbroker init` writes one")
    assert not captured.out


def test_the_file_is_an_argument_before_an_option_before_the_environment_before_the_usual_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTBROKER_CONFIG", "c.yaml")
    for args, chosen in ((["a.yaml", "--config", "b.yaml"], "a"), (["--config", "b.yaml"], "b"), ([], "c")):
        assert main(["check", *args]) == 1
        assert capsys.readouterr().err.startswith(f"error: {chosen}.yaml: no such file")


def test_a_fault_of_ours_is_one_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from portbroker.cli import schema

    def broken(*_: object) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(schema, "run", broken)
    monkeypatch.delenv("PORTBROKER_DEBUG", raising=False)
    assert main(["schema"]) == 1
    assert capsys.readouterr().err == (
        "error: RuntimeError: a bug\nhint:  set PORTBROKER_DEBUG=1 to see where it happened\n"
    )
    monkeypatch.setenv("PORTBROKER_DEBUG", "1")
    with pytest.raises(RuntimeError, match="a bug"):
        main(["schema"])


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_had_enough_is_no_error(unbuffered: str, tmp_path: Path) -> None:
    variables = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    script = f"{sys.executable} -m portbroker schema | head -c 10; exit ${{PIPESTATUS[0]}}"
    command = ["bash", "-c", script]
    result = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=30)
    assert (result.returncode, len(result.stdout), result.stderr) == (0, 10, "")


def test_no_command_loads_what_it_does_not_need(tmp_path: Path) -> None:
    code = (
        "import sys, portbroker.cli; print(*sorted(m for m in sys.modules if m in ('aiohttp', 'jinja2', 'pydantic')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert result.stdout.strip() == ""
