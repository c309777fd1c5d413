"""`bench/replicas`: what several gateways must hold together, with one PostgreSQL and behind one balancer.

The one rule: each proof counts with the provider's own count and prints what it saw; one that fails, fails the run.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from bench.fleet import SPENDS, Fleet, fleet, text
from portbroker.config.load import load_text
from tests.postgresql import Server, run, until_up

Seen = dict[str, Any]
Proof = Callable[[Fleet, argparse.Namespace], Awaitable[tuple[bool, Seen]]]


async def budget_is_not_overspent(all_: Fleet, asked: argparse.Namespace) -> tuple[bool, Seen]:
    """A budget for 1,000 calls stays 1,000 under 3,000 calls, while one replica is killed and comes back."""
    granted, tried = asked.calls, 3 * asked.calls
    budget = {"amount": granted * SPENDS, "period": "total"}
    id_, key = await all_.new_key("budget", budget=budget)
    statuses: Counter[int] = Counter()

    async def kill() -> None:
        while sum(statuses.values()) < tried // 4:
            await asyncio.sleep(0.01)
        await all_.replicas[-1].end(signal.SIGKILL)
        await all_.replicas[-1].start()

    killing = asyncio.create_task(kill())
    await _many(all_, key, "budget", tried, statuses)
    await killing
    served = all_.provider.answered["budget"]
    spending = (await all_.admin("GET", f"/admin/api-keys/{id_}"))["spending"]
    # Calls that the killed one had under way were answered to nobody, and stay reserved until they expire.
    lost = statuses[598] + statuses[502] + statuses[599]
    sound = served <= granted and statuses[200] <= served and served >= granted - lost
    return sound, {"budget": granted, "tried": tried, "served": served, "statuses": statuses, "spending": spending}


async def limit_is_one_for_all(all_: Fleet, asked: argparse.Namespace) -> tuple[bool, Seen]:
    """100 a minute stays 100, however they are spread."""
    _, key = await all_.new_key("limited", limits={"requests_per_minute": 100})
    statuses: Counter[int] = Counter()
    await _many(all_, key, "limited", 300, statuses)
    served = all_.provider.answered["limited"]
    return served == 100 == statuses[200], {"limit": 100, "tried": 300, "served": served, "statuses": statuses}


async def revocation_reaches_all(all_: Fleet, asked: argparse.Namespace) -> tuple[bool, Seen]:
    """A revoked key is refused by every replica within two seconds."""
    id_, key = await all_.new_key("revoked")
    for replica in all_.replicas:
        assert (await all_.call(replica.url, key, "revoked"))[0] == 200
    began = time.monotonic()
    await all_.admin("POST", f"/admin/api-keys/{id_}/revoke")

    async def refused(url: str) -> float:
        async with asyncio.timeout(10):
            while (await all_.call(url, key, "revoked"))[0] != 401:
                await asyncio.sleep(0.005)
        return time.monotonic() - began

    seconds = await asyncio.gather(*(refused(replica.url) for replica in all_.replicas))
    return max(seconds) < 2, {"seconds": [round(one, 3) for one in seconds]}


async def swap_converges(all_: Fleet, asked: argparse.Namespace) -> tuple[bool, Seen]:
    """A file that is replaced everywhere is served everywhere within one second; until then the drift can be seen."""
    _, key = await all_.new_key("swap")
    old = {(await all_.call(replica.url, key, "swap"))[1] for replica in all_.replicas}
    new = _revision(all_, "second")
    all_.write("second", [0])
    await _serves(all_, key, 0, new)
    drift = [(await all_.call(replica.url, key, "swap"))[1] for replica in all_.replicas]
    told = [(await all_.admin("GET", "/admin/config", replica=n))["revision"] for n in range(len(all_.replicas))]
    began = time.monotonic()
    all_.write("second")
    await asyncio.gather(*(_serves(all_, key, number, new) for number in range(len(all_.replicas))))
    seconds = time.monotonic() - began
    visible = len(set(drift)) == 2 and told == drift
    return len(old) == 1 and visible and seconds < 1, {"seconds": round(seconds, 3), "drift": drift}


async def _serves(all_: Fleet, key: str, number: int, revision: str) -> None:
    async with asyncio.timeout(10):
        while (await all_.call(all_.replicas[number].url, key, "swap"))[1] != revision:
            await asyncio.sleep(0.005)


def _revision(all_: Fleet, remark: str) -> str:
    raw = text(remark, all_.database, all_.provider.url).encode()
    return load_text(raw, file="portbroker.yaml", directory=all_.replicas[0].folder, environ={}).revision


async def rolling_restart_fails_nothing(all_: Fleet, asked: argparse.Namespace) -> tuple[bool, Seen]:
    """Every replica ends and comes back, one after the other, under whole answers and streams; no call fails."""
    _, key = await all_.new_key("rolling")
    async with _load(all_, key, "rolling") as statuses:
        for replica in all_.replicas:
            await replica.end()
            await replica.start()
            await asyncio.sleep(0.5)  # the balancer looks five times a second
    return set(statuses) == {200}, {"statuses": statuses, "restarts": len(all_.replicas)}


async def outage_loses_nothing(all_: Fleet, asked: argparse.Namespace) -> tuple[bool, Seen]:
    """PostgreSQL is gone for a while: known keys work, unknown ones get 503, revoked ones stay out, all is recorded."""
    id_, key = await all_.new_key("outage")
    revoked_id, revoked = await all_.new_key("gone")
    for replica in all_.replicas:
        for one in (key, revoked):
            await all_.call(replica.url, one, "warm")
    await all_.admin("POST", f"/admin/api-keys/{revoked_id}/revoke")
    await asyncio.sleep(2)  # what a revocation may take
    unknown = "pb-" + "x" * 43
    async with _load(all_, key, "outage") as statuses:
        await asyncio.to_thread(asked.postgresql.stop)
        began, others = time.monotonic(), Counter[str]()
        while time.monotonic() < began + asked.down:
            for replica in all_.replicas:
                for name, one in (("unknown", unknown), ("revoked", revoked)):
                    others[f"{name} {(await all_.call(replica.url, one, name))[0]}"] += 1
            await asyncio.sleep(0.5)
        await asyncio.to_thread(asked.postgresql.start)
        await until_up(asked.postgresql.url)
    began = time.monotonic()
    recorded = await _recorded(all_, id_, all_.provider.answered["outage"] + len(all_.replicas))
    caught_up = round(time.monotonic() - began, 1)
    served = all_.provider.answered["outage"] + len(all_.replicas)  # and those that made the key known
    good = set(statuses) == {200} and set(others) == {"unknown 503", "revoked 401"}
    return good and recorded == served, {
        "seconds down": asked.down, "served": served, "recorded": recorded, "caught up after": caught_up,
        "statuses": statuses, "others": others,
    }  # fmt: skip


async def usage_is_whole(all_: Fleet, asked: argparse.Namespace) -> tuple[bool, Seen]:
    """What the replicas have recorded is what the provider has answered."""
    answered = {
        user: all_.provider.answered[user]
        for user in ("limited", "rolling", "outage")
        if user in all_.provider.answered
    }
    keys = {key["name"]: key["id"] for key in (await all_.admin("GET", "/admin/api-keys"))["data"]}
    recorded = {user: await _recorded(all_, keys[user], count) for user, count in answered.items()}
    recorded["outage"] -= len(all_.replicas)  # those that made the key known before
    return recorded == answered, {"answered": answered, "recorded": recorded}


async def _recorded(all_: Fleet, id_: str, wanted: int) -> int:
    """How many calls of the key were recorded as good, once they are all there, or after a minute."""
    count, until = -1, time.monotonic() + 60
    while count < wanted and time.monotonic() < until:
        page = await all_.admin("GET", f"/admin/usage?by=key&key={id_}")
        count = sum(group["calls"] - group["failed"] for group in page["data"])
        await asyncio.sleep(0.1)
    return count


async def _many(all_: Fleet, key: str, user: str, count: int, statuses: "Counter[int]") -> None:
    """So many calls through the balancer, fifty at once."""
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            statuses[(await all_.call(next(all_.fronts), key, user))[0]] += 1

    await asyncio.gather(*(caller() for _ in range(50)))


@asynccontextmanager
async def _load(all_: Fleet, key: str, user: str) -> AsyncIterator["Counter[int]"]:
    """Eight callers, half of whom ask for streams, until the context ends; what became of their calls."""
    statuses: Counter[int] = Counter()
    going = True

    async def caller(stream: bool) -> None:
        while going:
            statuses[(await all_.call(next(all_.fronts), key, user, stream=stream))[0]] += 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(caller(number % 2 == 0))
        try:
            yield statuses
        finally:
            going = False


PROOFS: tuple[Proof, ...] = (
    budget_is_not_overspent,
    limit_is_one_for_all,
    revocation_reaches_all,
    swap_converges,
    rolling_restart_fails_nothing,
    outage_loses_nothing,
    usage_is_whole,
)


@contextmanager
def _postgresql() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="replicas-pg-") as folder:
        server = Server(Path(folder))
        server.make(fsync=True)
        server.start()
        try:
            yield server
        finally:
            server.stop()


async def prove(asked: argparse.Namespace) -> bool:
    """Whether everything held."""
    good = True
    with tempfile.TemporaryDirectory(prefix="replicas-") as folder, _postgresql() as asked.postgresql:
        url = asked.postgresql.url
        await run(url, "CREATE DATABASE portbroker")
        database = url.removesuffix("postgres") + "portbroker"
        async with fleet(Path(folder), database, asked.replicas, balanced=not asked.without_balancer) as all_:
            for proof in PROOFS:
                if proof is rolling_restart_fails_nothing and asked.without_balancer:
                    continue  # who calls a replica itself meets its absence
                held, seen = await proof(all_, asked)
                good &= held
                name = proof.__name__.replace("_", " ")
                print(f"{'holds' if held else 'FAILS'}  {name}: {json.dumps(seen)}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/replicas", description=__doc__.partition("\n")[0])
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--calls", type=int, default=1000, help="that the budget is for; three times as many are tried")
    parser.add_argument("--down", type=float, default=60, metavar="SECONDS", help="that PostgreSQL is gone")
    parser.add_argument("--without-balancer", action="store_true",
                        help="call the replicas in turn, and leave out the rolling restart")  # fmt: skip
    return 0 if asyncio.run(prove(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
