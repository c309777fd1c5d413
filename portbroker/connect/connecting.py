"""A client is pointed at a gateway, and back: over all its files.

The one rule: everything is known to fit before the first file is written, and what was there is remembered before that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from portbroker.connect import files, memory
from portbroker.connect.changes import Remembered, apply, revert
from portbroker.connect.clients import Client, Gateway, Machine
from portbroker.connect.texts import Kind


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one file: its text now and then (None: no such file). `left` are settings that stay as is."""

    file: Path
    now: str | None
    then: str | None
    left: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Connecting:
    """Plans for a client, and what to remember of them."""

    plans: tuple[Plan, ...]
    memories: tuple[Remembered, ...]


def connecting(client: Client, gateway: Gateway, machine: Machine) -> Connecting:
    """What has to be written. What an earlier call wrote is put back first, so that its changes do not pile up."""
    earlier = {plan.file: plan for plan in disconnecting(client, machine)}
    plans, memories = [], []
    for change in client.changes(gateway, machine):
        before = earlier.pop(change.file, None)
        now = before.now if before else files.read(change.file)
        done = apply(change, before.then if before else now)
        memories.append(done)
        plans.append(Plan(change.file, now, done.after))
    return Connecting((*plans, *earlier.values()), tuple(memories))


def disconnecting(client: Client, machine: Machine) -> tuple[Plan, ...]:
    """What has to be written to undo what is remembered."""
    plans = []
    kinds = _kinds(client, machine)
    for memory_ in memory.recall(machine, client.name):
        file = Path(memory_.file)
        now = files.read(file)
        then, left = revert(memory_, kinds[file.name], now)
        plans.append(Plan(file, now, then, left))
    return tuple(plans)


def _kinds(client: Client, machine: Machine) -> Mapping[str, Kind]:
    """By the name of a file, what stands in it. OpenCode's may have one of three names, and all hold the same."""
    changes = client.changes(Gateway("", ("",), "key"), machine)
    known = {change.file.name: change.kind for change in changes}
    if client.name == "opencode":
        known |= dict.fromkeys(("opencode.json", "opencode.jsonc", "config.json"), changes[0].kind)
    return known


def carry_out(plans: Sequence[Plan]) -> None:
    """Write what is planned."""
    for plan in plans:
        if plan.then == plan.now:
            continue
        if plan.then is None:
            files.remove(plan.file)
        else:
            files.write(plan.file, plan.then)


def connect(client: Client, done: Connecting, machine: Machine) -> None:
    """Write a client's settings, remembering first what they were."""
    memory.remember(machine, client.name, done.memories)
    carry_out(done.plans)


def disconnect(client: Client, plans: Sequence[Plan], machine: Machine) -> None:
    """Put a client's settings back."""
    carry_out(plans)
    memory.forget(machine, client.name)
