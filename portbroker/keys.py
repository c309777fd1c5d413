"""API keys as secrets: how one is made, shown and hashed, and the record that is kept of it.

The one rule: a secret is given out once; what is kept is its HMAC with a pepper that the database does not hold.
"""

import hmac
import secrets
import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from portbroker.conversation import mint
from portbroker.headers import OURS
from portbroker.store.records import ApiKey, Micros

_LETTERS = string.digits + string.ascii_letters
_LENGTH = 43  # of 62 letters: 256 bits
_SHOWN = len(OURS) + 4


def new_secret() -> str:
    """A fresh key, as its holder will show it."""
    return OURS + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def shortened(secret: str) -> str:
    """As much of a key as may be shown: enough to tell one's own apart, and nothing to guess the rest by."""
    return f"{secret[:_SHOWN]}…" if secret.startswith(OURS) else "…"


class Pepper:
    """Hashes keys. `secret` is what this installation keeps to itself: SECRET_KEY, or the file that stands for it."""

    __slots__ = ("_key", "fingerprint")

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"portbroker: pepper of API keys", "sha256")
        self.fingerprint = hmac.digest(self._key, b"portbroker: fingerprint", "sha256").hex()[:16]
        """Tells whether two are the same, and nothing else."""

    def hash(self, secret: str) -> bytes:
        """What is kept of a key; headers may hold any bytes, and so may what is shown as a key."""
        return hmac.digest(self._key, secret.encode("utf-8", "surrogateescape"), "sha256")


def issue(pepper: Pepper, name: str, at: Micros, *, secret: str | None = None, **fields: Any) -> tuple[ApiKey, str]:
    """A new key of this name, and its secret, which nobody can be told again. `fields` are those of `ApiKey`."""
    secret = new_secret() if secret is None else secret
    key = ApiKey(mint("key_"), name, pepper.hash(secret), shortened(secret), at, **fields)
    return key, secret


def rotate(key: ApiKey, pepper: Pepper, at: Micros, overlap: Micros) -> tuple[ApiKey, str]:
    """The key with another secret, and this; the one that it had until now is good for `overlap` more."""
    secret = new_secret()
    previous = (key.hash, at + overlap) if overlap > 0 else (None, None)
    rotated = replace(
        key, hash=pepper.hash(secret), prefix=shortened(secret), previous_hash=previous[0], previous_until=previous[1]
    )
    return rotated, secret


Refusal = str
"""Why a key is not good, for its holder."""


def refusal(key: ApiKey, shown: bytes, at: Micros) -> Refusal | None:
    """Why this key, shown with the secret of this hash, proves nothing at this time; None for a good one."""
    for holds, why in _REFUSALS:
        if holds(key, shown, at):
            return why
    return None


def good_until(key: ApiKey, shown: bytes) -> Micros | None:
    """When a good key stops being one by itself, shown with the secret of this hash; None: never."""
    ends = [key.expires_at, key.previous_until if not _is_current(key, shown) else None]
    return min((end for end in ends if end is not None), default=None)


def _is_current(key: ApiKey, shown: bytes) -> bool:
    return hmac.compare_digest(key.hash, shown)


def _is_replaced(key: ApiKey, shown: bytes, at: Micros) -> bool:
    if _is_current(key, shown):
        return False
    previous = key.previous_hash is not None and hmac.compare_digest(key.previous_hash, shown)
    return not previous or key.previous_until is None or at >= key.previous_until


_REFUSALS: tuple[tuple[Callable[[ApiKey, bytes, Micros], bool], Refusal], ...] = (
    (lambda key, _, __: key.revoked_at is not None, "this API key has been revoked"),
    (lambda key, _, __: not key.enabled, "this API key is switched off"),
    (lambda key, _, at: key.expires_at is not None and at >= key.expires_at, "this API key has expired"),
    (_is_replaced, "this API key has been replaced by a newer one"),
)
