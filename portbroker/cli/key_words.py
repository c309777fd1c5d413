"""API keys as a person at a terminal reads them. One rule: what says nothing is left out."""

from portbroker.cli.spans import is_over, money
from portbroker.conversation import Json


def row(key: Json) -> list[str]:
    """A key in the list of keys."""
    return [key["name"], key["prefix"], state(key), may(key), bounds(key), key["id"]]


HEADS = ["NAME", "KEY", "STATE", "MAY", "LIMITS", "ID"]


def rows(key: Json) -> list[list[str]]:
    """All that there is to say of a key."""
    told = [
        ["name", key["name"]], ["secret", key.get("key") or key["prefix"]], ["id", key["id"]], ["state", state(key)],
        ["may", may(key)], ["limits", bounds(key)], ["spent", _spent(key)], ["tags", ", ".join(key["tags"])],
        ["description", key["description"]], ["metadata", ", ".join(f"{k}={v}" for k, v in key["metadata"].items())],
        ["made", key["created_at"]], ["expires", key["expires_at"] or ""],
        ["old secret", f"good until {key['previous_until']}" if key["previous_until"] else ""],
    ]  # fmt: skip
    return [pair for pair in told if pair[1]]


def state(key: Json) -> str:
    """Whether it is good."""
    if key["revoked_at"]:
        return "revoked"
    if not key["enabled"]:
        return "off"
    if is_over(key["expires_at"]):
        return "expired"
    return f"good until {key['expires_at'][:10]}" if key["expires_at"] else "good"


def may(key: Json) -> str:
    """What it may be used for."""
    scopes = [f"{name}: {' '.join(globs) or 'none'}" for name, globs in key["scopes"].items() if globs is not None]
    return ", ".join([*(["admin"] if key["admin"] else []), *scopes]) or "all calls"


def bounds(key: Json) -> str:
    """How much it may be used."""
    limits = key["limits"]
    words = {"requests_per_minute": "requests/min", "tokens_per_minute": "tokens/min", "concurrent": "at once"}
    bounds = [f"{limits[name]} {word}" for name, word in words.items() if limits[name] is not None]
    if budget := key["budget"]:
        per = "in all" if budget["period"] == "total" else f"a {budget['period']}"
        zone = "" if budget["time_zone"] == "UTC" else f" ({budget['time_zone']})"
        bounds.append(f"{money(budget['amount'])} {per}{zone}")
    return ", ".join(bounds) or "none"


def _spent(key: Json) -> str:
    if not (spending := key.get("spending")):
        return ""
    held = f", and {money(spending['reserved'])} held for calls under way" if spending["reserved"] else ""
    return f"{money(spending['spent'])} in {spending['period']}{held}"
