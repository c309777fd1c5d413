"""Signing in for an hour: `POST /admin/login` takes an admin key and gives a token, a JWT signed by this gateway.

The one rule: a token is worth what the key behind it is worth at the moment that it is shown. Only HS256 is read, and
issuer, audience and expiry must be there.
"""

import hashlib
import hmac
import secrets
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from portbroker.admin.endpoints import Answer, Asked, Endpoint, Who
from portbroker.admin.forms import Form
from portbroker.admin.signin import SignIn, refused
from portbroker.admin.times import now, shown
from portbroker.keys import Pepper, refusal
from portbroker.store import Store
from portbroker.store.records import ApiKey

LIFETIME = 3600
"""Seconds that a token is good."""
_ALGORITHM = "HS256"
_ISSUER, _AUDIENCE = "portbroker", "portbroker-admin"
_REQUIRED = ["exp", "iat", "iss", "aud", "sub", "sec"]


class Sessions:
    """Makes tokens, and tells whose one is. `secret` is what this installation keeps to itself."""

    asks = False  # but for those that are signed

    def __init__(self, secret: bytes, store: Store) -> None:
        self._key = hmac.digest(secret, b"portbroker: sign-ins to the admin API", "sha256")
        self._store = store

    async def who(self, shown: str) -> Who | None:
        """Who signed in. Raises `Refusal` (401) for a token that is over, forged, or of a key that is not good now."""
        if not shown.startswith("eyJ") or shown.count(".") != 2:
            return None
        claims = self._claims(shown)
        key = await self._store.key(str(claims["sub"]))
        hashed = _hash_behind(key, str(claims["sec"])) if key else None
        if key is None or hashed is None or not key.admin or refusal(key, hashed, now()):
            raise refused("this sign-in is over: its key is no longer good; sign in again")
        return Who("session", key.name, key.id)

    def _claims(self, token: str) -> dict[str, Any]:
        import jwt

        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._key, algorithms=[_ALGORITHM], audience=_AUDIENCE, issuer=_ISSUER,
                options={"require": _REQUIRED},
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise refused("this sign-in is over: sign in again") from None
        except jwt.PyJWTError:
            raise refused("this token proves nothing here") from None
        return claims

    def token(self, key: ApiKey, shown_hash: bytes, at: int) -> str:
        """A token for whoever has shown the key; `at` in Unix seconds."""
        import jwt

        claims = {
            "iss": _ISSUER, "aud": _AUDIENCE, "sub": key.id, "sec": _mark(shown_hash), "iat": at, "exp": at + LIFETIME,
            "jti": secrets.token_urlsafe(12),
        }  # fmt: skip
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)


def _mark(hashed: bytes) -> str:
    """Tells one secret of a key from the next, and nothing of either."""
    return hashlib.sha256(b"portbroker: sign-in" + hashed).hexdigest()[:24]


def _hash_behind(key: ApiKey, mark: str) -> bytes | None:
    """The hash of the secret that was shown at the sign-in, if the key still knows it."""
    for hashed in (key.hash, key.previous_hash):
        if hashed is not None and hmac.compare_digest(_mark(hashed), mark):
            return hashed
    return None


class LoginForm(Form):
    """Who wants to sign in."""

    model_config = ConfigDict(title="Sign-in")

    key: str = Field(min_length=1, max_length=1000, description="An admin key.", repr=False)


class LoginShown(BaseModel):
    """A token to be shown as `Authorization: Bearer`."""

    model_config = ConfigDict(title="Signed in")

    token: str
    token_type: str
    expires_in: int
    expires_at: str
    name: str


class Login:
    """`POST /admin/login`. `sign_in` knows keys alone: a token must not make the next one."""

    def __init__(self, sessions: Sessions, sign_in: SignIn, store: Store, pepper: Pepper) -> None:
        self._sessions = sessions
        self._sign_in = sign_in
        self._store = store
        self._pepper = pepper

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("POST", "/admin/login", self.login, "A token for an hour, for an admin key.", {200: LoginShown},
                     open=True, body=LoginForm, tag="sign-in",
                     fails={401: "The key is not known, or no longer good.", 403: "The key is no admin's.",
                            429: "Too many failed sign-ins.", 503: "The database cannot be reached."}),
        )  # fmt: skip

    async def login(self, asked: Asked) -> Answer:
        form: LoginForm = asked.body
        who = await self._sign_in.known(form.key, asked.remote)
        key = await self._store.key(who.id)
        if key is None:
            raise refused("this API key is not known here")
        at = now()
        token = self._sessions.token(key, self._pepper.hash(form.key), at // 1_000_000)
        until = shown(at // 1_000_000 * 1_000_000 + LIFETIME * 1_000_000) or ""
        return Answer(
            LoginShown(token=token, token_type="Bearer", expires_in=LIFETIME, expires_at=until, name=key.name)
        )
