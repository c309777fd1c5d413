"""What the environment gives one installation to keep to itself: SECRET_KEY and PORTBROKER_ADMIN_KEY.

The one rule: a secret that is set and too weak is a fault, and never replaced in silence.
"""

import re
from dataclasses import dataclass, field

from portbroker.config.environment import Environment
from portbroker.errors import Problem

_LEAST = 32
_ADMIN_KEY = re.compile(r"pb-[0-9A-Za-z_-]{32,128}")


@dataclass(frozen=True, slots=True)
class Own:
    """Both, empty where they are not set."""

    secret_key: str = field(default="", repr=False)
    admin_key: str = field(default="", repr=False)


def read_own(environment: Environment) -> tuple[Own, list[Problem]]:
    """What is set, and what is wrong with it."""
    problems: list[Problem] = []
    secret, admin = (environment.variables.get(name) for name in ("SECRET_KEY", "PORTBROKER_ADMIN_KEY"))
    if secret is not None and len(secret.encode("utf-8", "surrogateescape")) < _LEAST:
        message = f"SECRET_KEY must have {_LEAST} bytes at least"
        hint = "`openssl rand -hex 32` makes one; without the variable, PortBroker makes and keeps one itself"
        problems.append(Problem(environment.origin("SECRET_KEY"), 0, 0, message, "SECRET_KEY", hint))
    if admin is not None and not _ADMIN_KEY.fullmatch(admin):
        message = "PORTBROKER_ADMIN_KEY must be pb- and at least 32 letters and digits"
        hint = '`echo "pb-$(openssl rand -hex 32)"` makes one'
        problems.append(
            Problem(environment.origin("PORTBROKER_ADMIN_KEY"), 0, 0, message, "PORTBROKER_ADMIN_KEY", hint)
        )
    return Own(secret or "", admin or ""), problems
