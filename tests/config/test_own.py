"""SECRET_KEY and PORTBROKER_ADMIN_KEY: taken as they are, or refused."""

from pathlib import Path

import pytest

from portbroker.config.load import Loaded, load_text
from portbroker.errors import ConfigError

SECRET = "0123456789abcdef0123456789abcdef"
ADMIN = "pb-0123456789abcdef0123456789abcdef"


def loaded(**variables: str) -> Loaded:
    return load_text(b"{}\n", file="portbroker.yaml", directory=Path("/nonexistent"), environ=variables)


def test_what_is_set_is_taken() -> None:
    own = loaded(SECRET_KEY=SECRET, PORTBROKER_ADMIN_KEY=ADMIN).own
    assert (own.secret_key, own.admin_key) == (SECRET, ADMIN)
    assert SECRET not in repr(own)
    assert ADMIN not in repr(own)


def test_what_is_not_set_is_empty() -> None:
    assert (loaded().own.secret_key, loaded().own.admin_key) == ("", "")


@pytest.mark.parametrize("weak", ["", "short", SECRET[:-1]])
def test_a_weak_secret_key_is_a_fault(weak: str) -> None:
    with pytest.raises(ConfigError, match="SECRET_KEY must have 32 bytes") as caught:
        loaded(SECRET_KEY=weak)
    assert not weak or weak not in str(caught.value)


@pytest.mark.parametrize("wrong", ["", "pb-", "pb-short", SECRET, ADMIN + " ", ADMIN + "\n"])
def test_an_admin_key_that_could_be_guessed_or_is_none_of_ours_is_a_fault(wrong: str) -> None:
    with pytest.raises(ConfigError, match="PORTBROKER_ADMIN_KEY must be pb-") as caught:
        loaded(PORTBROKER_ADMIN_KEY=wrong)
    assert len(wrong) < 8 or wrong not in str(caught.value)
