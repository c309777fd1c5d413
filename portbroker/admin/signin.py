"""Who asks: the one step that every admin call passes before anything is done for it.

Three things prove an admin: an admin key, a token from `POST /admin/login`, or the token that the running server keeps
in a file which only its own OS user can read. The one rule: whoever cannot be told, is refused; a key for calls is no
admin's, and says so with 403.
"""

import hmac
import logging
from collections.abc import Mapping
from typing import Protocol

from portbroker.admin.endpoints import Refusal, Who
from portbroker.admin.failures import Failures
from portbroker.errors import CallError
from portbroker.headers import OURS, client_credential
from portbroker.keyring import Keyring
from portbroker.wire import visible

log = logging.getLogger("portbroker.admin")

LOCAL = Who("local", "local")
"""Commands of the OS user that runs the server."""
_HOW = "show an admin key, or a token from POST /admin/login, as `Authorization: Bearer`"


def refuse_other_sites(headers: Mapping[str, str]) -> None:
    """Raises `Refusal` (403) for what a web page from elsewhere has its visitor's browser send.

    It could not show a credential, nor read the answer; but it could fail to sign in until nobody there may.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None:
        elsewhere = origin is not None and origin.partition("://")[2] != headers.get("host")
    else:
        elsewhere = site not in ("same-origin", "none")
    if elsewhere:
        raise Refusal(403, "permission", "web pages from elsewhere may not change anything here")


class Proof(Protocol):
    """A kind of credential. `asks`: whether the database is asked for any that is shown, a guess included."""

    asks: bool

    async def who(self, shown: str) -> Who | None:
        """Whose it is; None for one of another kind. Raises `Refusal` for one of this kind that proves nothing."""


class SignIn:
    """Tells who asks by what they show; whoever fails often from one address waits."""

    def __init__(self, *proofs: Proof, failures: Failures | None = None) -> None:
        self._proofs = proofs
        self._failures = failures or Failures()

    async def identify(self, headers: Mapping[str, str], remote: str) -> Who:
        """Who asks. Raises `Refusal`: 401 for nobody known, 403 for who is no admin, 429 after many failures."""
        shown = client_credential(headers)
        if shown is None:
            raise refused(f"this needs a sign-in: {_HOW}")
        return await self.known(shown, remote)

    async def known(self, shown: str, remote: str) -> Who:
        """Whose this credential is, shown from this address."""
        try:
            for proof in self._proofs:
                if proof.asks:
                    self._failures.check(remote)
                if who := await proof.who(shown):
                    return who
            raise refused(f"this credential is not known here; {_HOW}")
        except Refusal as refusal:
            if refusal.status == 401:
                self._failures.check(remote)
                self._failures.add(remote)
                log.warning("a sign-in from %s failed: %s", visible(remote) or "nowhere", refusal.message)
            raise


def refused(message: str) -> Refusal:
    """Whoever asks is not known."""
    return Refusal(401, "auth", message, headers={"www-authenticate": 'Bearer realm="PortBroker admin"'})


class LocalToken:
    """The token that this server has written for its own OS user."""

    asks = False

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def who(self, shown: str) -> Who | None:
        """`LOCAL` for the very token."""
        same = hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self._token)
        return LOCAL if same and self._token else None


class AdminKeys:
    """API keys that are an admin's."""

    asks = True

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def who(self, shown: str) -> Who | None:
        """Who holds the key. Raises `Refusal`: 403 for a key that is good for calls only."""
        if not shown.startswith(OURS):
            return None
        try:
            caller = await self._keyring.caller(shown)
        except CallError as error:
            raise refused(error.message) from error
        if not caller.admin:
            raise Refusal(403, "permission", "this API key is for calls; an admin key is needed here")
        return Who("key", caller.name, caller.id)
