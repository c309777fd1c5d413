"""Secrets that were posted to the admin API are read from the state directory, after those that a person wrote."""

from pathlib import Path

import pytest

from portbroker.config.load import Loaded, load, load_text
from portbroker.errors import ConfigError

FILE = """\
providers:
  - {name: A, provider_type: openai, api_key: "{{ secret.a }}"}
"""


def private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


def key_of(loaded: Loaded) -> str | None:
    key = loaded.config.providers[0].api_key
    return key.get_secret_value() if key else None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "portbroker.yaml"
    path.write_text(FILE)
    return path


def test_a_posted_secret_is_found_in_the_state_directory(file: Path) -> None:
    private(file.parent / ".portbroker" / "secrets.yaml", "a: posted-secret\n")
    loaded = load(file, environ={})
    assert key_of(loaded) == "posted-secret"
    assert file.parent / ".portbroker" / "secrets.yaml" in loaded.files


def test_what_a_person_wrote_comes_first(file: Path) -> None:
    private(file.parent / ".portbroker" / "secrets.yaml", "a: posted-secret\nb: x\n")
    private(file.parent / "secrets.yaml", "a: written-secret\n")
    assert key_of(load(file, environ={})) == "written-secret"


@pytest.mark.parametrize("named", ["file", "environment"])
def test_the_state_directory_is_the_one_that_is_named(file: Path, named: str) -> None:
    private(file.parent / "elsewhere" / "secrets.yaml", "a: posted-secret\n")
    if named == "file":
        file.write_text("server: {state: elsewhere}\n" + FILE)
    environ = {"PORTBROKER_STATE": str(file.parent / "elsewhere")} if named == "environment" else {}
    loaded = load(file, environ=environ)
    assert key_of(loaded) == "posted-secret"
    again = load_text(
        loaded.text, file="x", directory=Path("/nonexistent"), environ=loaded.surroundings.variables,
        kept=loaded.surroundings.files,
    )  # fmt: skip
    assert key_of(again) == "posted-secret"


def test_without_the_secret_the_provider_is_inactive_and_says_which_file_lacks_it(file: Path) -> None:
    assert load(file, environ={}).inactive == {"A": "there is no secrets.yaml beside this file"}
    private(file.parent / "secrets.yaml", "b: x\n")
    assert load(file, environ={}).inactive == {"A": "secrets.yaml has no `a`"}


def test_posted_secrets_that_others_can_read_are_not_taken(file: Path) -> None:
    secrets = file.parent / ".portbroker" / "secrets.yaml"
    private(secrets, "a: posted-secret\n")
    secrets.chmod(0o644)
    with pytest.raises(ConfigError, match=r"\.portbroker/secrets\.yaml: others may read it") as error:
        load(file, environ={})
    assert "posted-secret" not in str(error.value)
