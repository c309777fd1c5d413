"""Imports point one way: a module imports only from lower floors."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "portbroker"

# The floors of the house, lowest first. A module belongs to the longest entry that begins its name.
FLOORS = (
    ("portbroker.errors", "portbroker.multipart", "portbroker.aliases", "portbroker"),
    ("portbroker.conversation", "portbroker.origin", "portbroker.sse", "portbroker.tokens",
     "portbroker.tokenizer", "portbroker.config",
     "portbroker.headers", "portbroker.logs", "portbroker.memory", "portbroker.pace",
     "portbroker.kept_responses", "portbroker.shared_responses", "portbroker.policy", "portbroker.rate_limits",
     "portbroker.redaction", "portbroker.request", "portbroker.request_parser", "portbroker.server_file",
     "portbroker.state_dir", "portbroker.tls", "portbroker.unpacking", "portbroker.watch", "portbroker.window"),
    ("portbroker.dialects", "portbroker.fieldmap", "portbroker.store"),
    ("portbroker.call",
     "portbroker.endpoints", "portbroker.compile", "portbroker.cost", "portbroker.facts", "portbroker.patterns",
     "portbroker.resolution", "portbroker.snapshot", "portbroker.standing",
     "portbroker.status", "portbroker.strategies", "portbroker.turns"),
    ("portbroker.diff", "portbroker.diff_models", "portbroker.guard", "portbroker.history",
     "portbroker.lint", "portbroker.named",
     "portbroker.restoring"),
    ("portbroker.admission", "portbroker.auth", "portbroker.caller", "portbroker.counters", "portbroker.failure",
     "portbroker.health", "portbroker.intake", "portbroker.keyring", "portbroker.keys", "portbroker.limits",
     "portbroker.quotas", "portbroker.recorder", "portbroker.redis_buckets", "portbroker.spool",
     "portbroker.translate", "portbroker.upstream", "portbroker.usage", "portbroker.wire"),
    ("portbroker.demo", "portbroker.relay", "portbroker.forwarding", "portbroker.keeping", "portbroker.retries"),
    ("portbroker.course",),
    ("portbroker.attempts",),
    ("portbroker.probes",),
    ("portbroker.side",),
    ("portbroker.metrics",),
    ("portbroker.books", "portbroker.first_key", "portbroker.state", "portbroker.upkeep", "portbroker.clients",
     "portbroker.gateway"),
    ("portbroker.reload", "portbroker.reload_words"),
    ("portbroker.admin",),
    ("portbroker.app", "portbroker.listening"),
    ("portbroker.connect", "portbroker.doctor", "portbroker.mock", "portbroker.workers"),
    ("portbroker.cases", "portbroker.cli", "portbroker.__main__"),
)  # fmt: skip


def floor_of(module: str) -> int:
    """The number of the floor a module lives on."""
    entries = [(name, number) for number, names in enumerate(FLOORS) for name in names]
    matching = [(len(name), number) for name, number in entries if module == name or module.startswith(name + ".")]
    assert matching, f"{module} has no floor: add it to FLOORS"
    length, number = max(matching)
    assert length > len("portbroker") or module == "portbroker", f"{module} has no floor: add it to FLOORS"
    return number


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            files = {n for n in inner if (PACKAGE.parent / Path(*n.split("."))).with_suffix(".py").exists()
                     or (PACKAGE.parent / Path(*n.split("."))).is_dir()}  # fmt: skip
            names |= files or {node.module}
    return {name for name in names if name.split(".")[0] == "portbroker"}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_from_lower_floors_or_its_own_room(path: Path) -> None:
    module = name_of(path)
    room = ".".join(module.split(".")[:2])
    for other in imported_by(path):
        same_room = other == room or other.startswith(room + ".")
        assert same_room or floor_of(other) <= floor_of(module), f"{module} imports {other}, which is above it"
