"""`python -m tests.generated [--check]`."""

import sys
from difflib import unified_diff
from pathlib import Path

from portbroker.config.schema import schema_text
from tests.generated import endpoints, faults, keys, matrix, remedies, vendors
from tests.generated.regions import fill

ROOT = Path(__file__).parent.parent.parent
TABLES = keys.TABLES | vendors.TABLES | faults.TABLES | remedies.TABLES | matrix.TABLES | endpoints.TABLES
"""What can stand in a region of `docs/`, by name."""


def made(root: Path = ROOT) -> dict[str, str]:
    """What each generated file must hold, by its path under `root`."""
    whole = {
        "schemas/portbroker.schema.json": schema_text(),
        "portbroker/starter.yaml": (root / "portbroker.yaml").read_text(encoding="utf-8"),
    }
    pages = {
        str(path.relative_to(root)): fill(path.read_text(encoding="utf-8"), TABLES, str(path))
        for path in sorted((root / "docs").glob("*.md"))
    }
    return whole | pages


def stale(root: Path = ROOT) -> dict[str, str]:
    """The files that are not what they must be, each with the difference."""
    found = {}
    for name, text in made(root).items():
        path = root / name
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        if there != text:
            lines = unified_diff(there.splitlines(True), text.splitlines(True), f"{name} (stale)", f"{name} (current)")
            found[name] = "".join(lines)
    return found


def main(argv: list[str], root: Path = ROOT) -> int:
    """Write, or with `--check` complain; the exit status."""
    if argv not in ([], ["--check"]):
        print("usage: python -m tests.generated [--check]", file=sys.stderr)
        return 2
    found = stale(root)
    if not argv:
        for name, text in made(root).items():
            if name in found:
                (root / name).write_text(text, encoding="utf-8")
                print(f"wrote {name}")
        return 0
    for difference in found.values():
        print(difference, file=sys.stderr)
    if found:
        print(f"stale: {', '.join(found)}; run `uv run python -m tests.generated`", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
