"""The admin API: what changes keys, providers and what is served, and what is told to those who watch over it.

    endpoints   the row of the table: method, path, what it takes, what it gives, who may
    table       a path -> its endpoints and what stood in its place holders
    signin      the one step that says who asks; nothing is answered before it but what is declared open
    api         the life of an admin call: match, sign in, check, answer
    openapi     the same table as an OpenAPI 3.1 document

Whoever adds an endpoint writes a class with `endpoints()` and joins it where `app` makes the API. The one rule: an
endpoint needs an admin's sign-in unless its row says otherwise. This module is imported at start-up and imports
nothing; all the others are imported with the first admin call.
"""

_OURS = ("/admin", "/metrics")


def serves(target: str) -> bool:
    """Whether a request target, as it was sent, is the admin API's to answer."""
    path = target.partition("?")[0]
    return path in _OURS or path.startswith("/admin/")
