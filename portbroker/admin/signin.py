"""Who asks: the one step that every admin call passes before anything is done for it.

Three things prove an admin: an admin key, a token from `POST /admin/login`, or the token that the running server keeps
in a file which only its own OS user can read. The one rule: whoever cannot be told, is refused; a key for calls is no
admin's, and says so with 403.
"""

import hmac
from collections.abc import Mapping
from typing import Protocol

from portbroker.admin.endpoints import Refusal, Who
from portbroker.headers import client_credential

LOCAL = Who("local", "local")
"""Commands of the OS user that runs the server."""
_HOW = "show an admin key, or a token from POST /admin/login, as `Authorization: Bearer`"


class Proof(Protocol):
    """A kind of credential."""

    async def who(self, shown: str) -> Who | None:
        """Whose it is; None for one of another kind. Raises `Refusal` for one of this kind that proves nothing."""


class SignIn:
    """Tells who asks by what they show."""

    def __init__(self, *proofs: Proof) -> None:
        self._proofs = proofs

    async def identify(self, headers: Mapping[str, str], remote: str) -> Who:
        """Who asks. Raises `Refusal`: 401 for nobody known, 403 for somebody who is no admin."""
        shown = client_credential(headers)
        if shown is None:
            raise refused(f"this needs a sign-in: {_HOW}")
        for proof in self._proofs:
            if who := await proof.who(shown):
                return who
        raise refused(f"this credential is not known here; {_HOW}")


def refused(message: str) -> Refusal:
    """Whoever asks is not known."""
    return Refusal(401, "auth", message, headers={"www-authenticate": 'Bearer realm="PortBroker admin"'})


class LocalToken:
    """The token that this server has written for its own OS user."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def who(self, shown: str) -> Who | None:
        """`LOCAL` for the very token."""
        same = hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self._token)
        return LOCAL if same and self._token else None
