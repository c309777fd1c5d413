"""An API key for a client, where the gateway asks for one.

The one rule: a key that is known to be good is used again; keys do not pile up.
"""

import getpass
import re
import socket
from urllib.parse import quote

from portbroker.cli.admin_client import AdminClient, Refused
from portbroker.cli.place import Place
from portbroker.cli.terminal import CommandError
from portbroker.connect import memory
from portbroker.connect.asking import ask
from portbroker.connect.clients import CLIENTS, Machine
from portbroker.headers import OURS

_MADE = "made by `portbroker connect`"
_MOST = 100


def key_for(client: str, place: Place, machine: Machine) -> str:
    """A key that opens the gateway. Raises `CommandError` when there is none and none can be made."""
    for key in written(client, machine):
        if ask(place.url, "/v1/models", key=key).status == 200:
            return key
    if not place.credential:
        hint = "--key KEY; where the server runs as this user, or with $PORTBROKER_ADMIN_KEY, one is made by itself"
        raise CommandError(f"{place.url} asks for an API key", hint)
    admin = AdminClient(place.url, place.credential)
    name = _name(client)
    for number in range(1, _MOST):
        body = {"name": name if number == 1 else f"{name} {number}", "description": _MADE}
        try:
            return str(admin.ask("POST", "/admin/api-keys", body)["key"])
        except Refused as error:
            if error.code != 409:
                raise
    raise CommandError(f"there are {_MOST} keys named {name!r}", "delete some, or use one with --key KEY")


def _name(client: str) -> str:
    return f"{client} of {getpass.getuser()} on {socket.gethostname()}"[:90]


def delete_key(client: str, key: str, place: Place) -> bool:
    """Whether a key that was made for the client is no more. One that was given to it is not ours to delete."""
    admin = AdminClient(place.url, place.credential)
    try:
        found = admin.ask("GET", f"/admin/api-keys?search={quote(_name(client))}")["data"]
        for known in found:
            if known["description"] == _MADE and key.startswith(known["prefix"].rstrip("…")):
                admin.ask("DELETE", f"/admin/api-keys/{known['id']}")
                return True
    except CommandError:
        return False
    return False


def written(client: str, machine: Machine) -> list[str]:
    """The keys of ours that the client's settings were given."""
    remembered = memory.recall(machine, client) if client in CLIENTS else ()
    sources = [undo.written for memory_ in remembered for undo in memory_.settings]
    return [key for source in sources for key in re.findall(rf"{OURS}[\w-]+", source)]
