"""An API key for a client, where the gateway asks for one.

The one rule: a key that is known to be good is used again; keys do not pile up.
"""

import getpass
import re
import socket

from portbroker.cli.admin_client import AdminClient, Refused
from portbroker.cli.place import Place
from portbroker.cli.terminal import CommandError
from portbroker.connect import memory
from portbroker.connect.asking import ask
from portbroker.connect.clients import CLIENTS, Machine
from portbroker.headers import OURS

_MOST = 100


def key_for(client: str, place: Place, machine: Machine) -> str:
    """A key that opens the gateway. Raises `CommandError` when there is none and none can be made."""
    for key in _written(client, machine):
        if ask(place.url, "/v1/models", key=key).status == 200:
            return key
    if not place.credential:
        hint = "--key KEY; where the server runs as this user, or with $PORTBROKER_ADMIN_KEY, one is made by itself"
        raise CommandError(f"{place.url} asks for an API key", hint)
    admin = AdminClient(place.url, place.credential)
    name = f"{client} of {getpass.getuser()} on {socket.gethostname()}"[:90]
    for number in range(1, _MOST):
        body = {"name": name if number == 1 else f"{name} {number}", "description": "made by `portbroker connect`"}
        try:
            return str(admin.ask("POST", "/admin/api-keys", body)["key"])
        except Refused as error:
            if error.code != 409:
                raise
    raise CommandError(f"there are {_MOST} keys named {name!r}", "delete some, or use one with --key KEY")


def _written(client: str, machine: Machine) -> list[str]:
    """The keys of ours that the client's settings hold."""
    remembered = memory.recall(machine, client) if client in CLIENTS else ()
    written = [undo.written for memory_ in remembered for undo in memory_.settings]
    return [key for source in written for key in re.findall(rf"{OURS}[\w-]+", source)]
