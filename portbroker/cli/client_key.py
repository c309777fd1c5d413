"""An API key for a client, where the gateway asks for one.

The one rule: a key that is known to be good is used again; keys do not pile up.
"""

import getpass
import socket
from urllib.parse import quote

from portbroker.cli.admin_client import AdminClient, Refused
from portbroker.cli.place import Place
from portbroker.cli.terminal import CommandError
from portbroker.connect.asking import ask
from portbroker.connect.clients import Machine
from portbroker.connect.kept_keys import kept_keys

_MADE = "made by `portbroker connect`"
_MOST = 100


def key_for(client: str, place: Place, machine: Machine) -> str:
    """A key that opens the gateway, kept for the next time. Raises `CommandError` when none can be made."""
    kept = kept_keys(machine)
    known = kept.get(client, place.url)
    if known and ask(place.url, "/v1/models", key=known).status == 200:
        return known
    if not place.credential:
        hint = "--key KEY; where the server runs as this user, or with $PORTBROKER_ADMIN_KEY, one is made by itself"
        raise CommandError(f"{place.url} asks for an API key", hint)
    key = _made(client, AdminClient(place.url, place.credential))
    kept.put(client, place.url, key)
    return key


def _made(client: str, admin: AdminClient) -> str:
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


def delete_key(client: str, place: Place, machine: Machine) -> bool:
    """Delete the key that was made for the client, if one was. False: it is still good."""
    kept = kept_keys(machine)
    key = kept.get(client, place.url)
    if not key:
        return True
    try:
        admin = AdminClient(place.url, place.credential)
        for known in admin.ask("GET", f"/admin/api-keys?search={quote(_name(client))}")["data"]:
            if known["description"] == _MADE and key.startswith(known["prefix"].rstrip("…")):
                admin.ask("DELETE", f"/admin/api-keys/{known['id']}")
    except CommandError:
        return False
    kept.put(client, place.url, "")
    return True
