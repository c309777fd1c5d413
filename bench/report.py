"""Figures to a table: medians, how far the rounds lie apart, and ratios to the anchors.

The one rule: ratios are made within a round and then compared, because a noisy machine is noisy for all sides alike.
"""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from bench.sides import VARIANTS

Row = Mapping[str, Any]


def table(rows: Iterable[Row], subject: str = "portbroker") -> str:
    """A line for each scenario, number of connections and side."""
    kept = list(rows)
    lines = [
        f"{'scenario':<18}{'conns':>6}  {'side':<11}{'unit':>8}{'CPU µs':>9}{'spread':>8}{'MB':>7}   {subject} to it"
    ]
    for key in dict.fromkeys((r["scenario"], r["connections"], r["side"]) for r in kept):
        lines.append(_line(key, kept, subject))
    return "\n".join(lines)


def _line(key: tuple[str, int, str], rows: list[Row], subject: str) -> str:
    scenario, connections, side = key
    mine = _rounds(rows, key)
    costs = [cost for row in mine.values() if (cost := cost_of(row)) is not None]
    unit = "event" if any(row["events"] for row in mine.values()) else "call"
    if not costs:
        return f"{scenario:<18}{connections:>6}  {side:<11}{'failed':>8}"
    spread = f"±{(max(costs) - min(costs)) / 2 / median(costs):.0%}"
    memory = median(row["memory"] for row in mine.values())
    subjects = _rounds(rows, (scenario, connections, subject))
    if side in VARIANTS:
        against = f"it costs {_ratio(mine, subjects)}"
    else:
        against = "" if side == subject else _ratio(subjects, mine)
    return (
        f"{scenario:<18}{connections:>6}  {side:<11}{unit:>8}{median(costs):>9.1f}{spread:>8}{memory:>7.0f}   {against}"
    )


def _rounds(rows: list[Row], key: tuple[str, int, str]) -> dict[int, Row]:
    return {row["round"]: row for row in rows if (row["scenario"], row["connections"], row["side"]) == key}


def _ratio(subject: Mapping[int, Row], anchor: Mapping[int, Row]) -> str:
    both = [(cost_of(subject[n]), cost_of(anchor[n])) for n in subject.keys() & anchor.keys()]
    ratios = [mine / theirs for mine, theirs in both if mine is not None and theirs]
    return f"{median(ratios):.2f} x" if ratios else ""


def cost_of(row: Row) -> float | None:
    """CPU microseconds of an event of a stream, else of a call; None when nothing was answered, or not everything."""
    units = row["events"] or row["answers"]
    return row["cpu"] / units if units and not row["failures"] and not row["unfinished"] else None
