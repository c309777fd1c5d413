"""API keys as secrets: made, shortened, hashed, rotated, refused."""

import re
from dataclasses import replace

from portbroker.keys import Pepper, good_until, issue, new_secret, refusal, rotate, shortened

PEPPER = Pepper(b"a secret of thirty-two bytes or more")
SECOND = 1_000_000


def test_a_key_has_256_bits_and_is_never_the_same() -> None:
    made = {new_secret() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"pb-[0-9A-Za-z]{43}", secret) for secret in made)
    assert 62**43 > 2**256


def test_what_is_kept_of_a_key_does_not_hold_it() -> None:
    key, secret = issue(PEPPER, "team", 5)
    assert secret not in repr(key)
    assert secret[7:] not in key.prefix
    assert key.prefix == shortened(secret) == secret[:7] + "…"
    assert key.hash == PEPPER.hash(secret)
    assert secret.encode() not in key.hash


def test_another_pepper_gives_another_hash_and_another_fingerprint() -> None:
    other = Pepper(b"another secret of thirty-two bytes..")
    assert other.hash("pb-x") != PEPPER.hash("pb-x")
    assert other.fingerprint != PEPPER.fingerprint
    assert Pepper(b"a secret of thirty-two bytes or more").fingerprint == PEPPER.fingerprint


def test_a_secret_that_is_not_ours_is_not_shown_at_all() -> None:
    assert shortened("hunter2 hunter2 hunter2") == "…"


def test_bytes_that_are_no_text_can_be_hashed() -> None:
    assert len(PEPPER.hash("pb-\udcff\x00é")) == 32


def test_a_good_key_is_good() -> None:
    key, secret = issue(PEPPER, "team", 5)
    assert refusal(key, PEPPER.hash(secret), 10) is None
    assert good_until(key, PEPPER.hash(secret)) is None


def test_a_key_is_refused_for_what_ends_it() -> None:
    key, secret = issue(PEPPER, "team", 0, expires_at=10 * SECOND)
    shown = PEPPER.hash(secret)
    assert refusal(key, shown, 10 * SECOND - 1) is None
    assert "expired" in str(refusal(key, shown, 10 * SECOND))
    assert good_until(key, shown) == 10 * SECOND
    assert "revoked" in str(refusal(replace(key, revoked_at=1), shown, 2))
    assert "switched off" in str(refusal(replace(key, enabled=False), shown, 2))


def test_a_rotated_key_takes_both_secrets_until_the_overlap_ends() -> None:
    key, old = issue(PEPPER, "team", 0)
    rotated, new = rotate(key, PEPPER, at=SECOND, overlap=60 * SECOND)
    assert refusal(rotated, PEPPER.hash(new), 3600 * SECOND) is None
    assert good_until(rotated, PEPPER.hash(new)) is None
    assert refusal(rotated, PEPPER.hash(old), 61 * SECOND - 1) is None
    assert good_until(rotated, PEPPER.hash(old)) == 61 * SECOND
    assert "replaced" in str(refusal(rotated, PEPPER.hash(old), 61 * SECOND))


def test_a_key_rotated_without_overlap_takes_the_new_secret_alone() -> None:
    key, old = issue(PEPPER, "team", 0)
    rotated, new = rotate(key, PEPPER, at=SECOND, overlap=0)
    assert refusal(rotated, PEPPER.hash(new), 2 * SECOND) is None
    assert "replaced" in str(refusal(rotated, PEPPER.hash(old), 2 * SECOND))
