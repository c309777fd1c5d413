"""Whether a Supabase key is one for servers. The one rule: nothing of the key comes into a message but its kind."""

import base64
import binascii

import orjson

from portbroker.errors import StoreError

_ADVICE = "take the secret key (`sb_secret_…`, or the older `service_role` key) from the project's API keys"


def check_key(key: str) -> None:
    """Raises `StoreError` for a key that is made for browsers: it may do nothing here."""
    if key.startswith("sb_secret_"):
        return
    if key.startswith("sb_publishable_"):
        raise StoreError(f"SUPABASE_KEY is a publishable key: {_ADVICE}")
    role = _role(key)
    if role is None:
        raise StoreError(f"SUPABASE_KEY is no key of Supabase: {_ADVICE}")
    if role != "service_role":
        raise StoreError(f"SUPABASE_KEY is a key of the role `{role}`: {_ADVICE}")


def _role(key: str) -> str | None:
    """The role in a JWT. Its signature is the server's to check: this only spares people an error that says less."""
    try:
        _, payload, _ = key.split(".")
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        role = claims["role"]
    except (ValueError, binascii.Error, KeyError, TypeError):
        return None
    return role[:32] if isinstance(role, str) and role.isidentifier() else None
