"""Secrets that stand in the file itself, where Git, a backup and a colleague see them.

The one rule: the text itself is never in the message.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from portbroker.config.excerpt import looks_secret
from portbroker.config.load import Loaded
from portbroker.config.place import Path
from portbroker.snapshot import Snapshot

_SECTIONS = ("providers", "translations", "database", "admin", "limits")
_NAMED = re.compile(r"(?i)api[_-]?key|authorization|token|secret|password|cookie|^key$")
_DEFAULT = re.compile(r"""default\(\s*['"]([^'"]+)['"]""")
_LEAST = 12
_HINT = 'keep it in the environment, or in secrets.yaml: "{{ env.NAME }}"'


def in_clear(loaded: Loaded, _: Snapshot) -> Iterator[tuple[Path, str, str]]:
    """Every value that looks like a secret."""
    data = loaded.document.data if loaded.document else {}
    for section in _SECTIONS:
        for path, text in _texts(data.get(section), (section,)):
            if what := _exposed(path, text):
                yield path, what, _HINT


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from _texts(inner, (*path, step))
    if isinstance(value, str):
        yield path, value


def _exposed(path: Path, text: str) -> str:
    """What is exposed by this text; "" for nothing."""
    if "{{" in text:
        return (
            "the default of this template is a secret in clear" if any(map(_key_like, _DEFAULT.findall(text))) else ""
        )
    if "://" in text and urlsplit(text).password:
        return "this address holds a password in clear"
    if looks_secret(text):
        return "this looks like a secret in clear"
    words = [step for step in path if isinstance(step, str)]
    named = bool(words) and (_NAMED.search(words[-1]) is not None or "api_keys" in words)
    return "this looks like a secret in clear" if named and _key_like(text) else ""


def _key_like(text: str) -> bool:
    """Whether it can be a credential: long, and of more than letters."""
    return looks_secret(text) or (
        len(text) >= _LEAST and any(map(str.isdigit, text)) and any(map(str.isalpha, text)) and "${" not in text
    )
