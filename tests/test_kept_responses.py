"""Responses that are kept in memory: for whom, how long, how many."""

import tracemalloc

import orjson

from portbroker.kept_responses import KeptResponse, ResponseMemory, packed
from portbroker.policy import Keep


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def kept(name: str, owner: str = "", size: int = 2000) -> KeptResponse:
    one = KeptResponse(name, owner, b"", b"")
    return KeptResponse(name, owner, b"", b"x" * (size - one.size))


KEEP = Keep(seconds=10.0, most_bytes=6000)


async def test_a_response_is_known_to_its_owner_alone() -> None:
    memory = ResponseMemory()
    memory.put(kept("r", "a"), KEEP)
    assert await memory.get("a", "r") == kept("r", "a")
    assert await memory.get("b", "r") is None
    assert await memory.get("", "r") is None
    await memory.delete("b", "r")
    assert await memory.get("a", "r") is not None
    await memory.delete("a", "r")
    assert await memory.get("a", "r") is None
    assert (len(memory), memory.size) == (0, 0)


async def test_a_response_is_forgotten_when_its_time_is_over() -> None:
    memory = ResponseMemory(clock := Clock())
    memory.put(kept("r"), KEEP)
    clock.now = 9.9
    assert await memory.get("", "r") is not None
    clock.now = 10.0
    assert await memory.get("", "r") is None
    assert (len(memory), memory.size) == (0, 0)


async def test_one_whose_time_is_shorter_is_not_given_out_behind_a_longer_one() -> None:
    memory = ResponseMemory(clock := Clock())
    memory.put(kept("long"), KEEP)
    memory.put(kept("short"), Keep(seconds=1.0, most_bytes=6000))
    clock.now = 5.0
    assert await memory.get("", "short") is None
    assert await memory.get("", "long") is not None


async def test_the_oldest_makes_room_for_the_newest() -> None:
    memory = ResponseMemory(Clock())
    for number in range(5):
        memory.put(kept(f"r{number}"), KEEP)
        assert memory.size <= 6000
    found = [number for number in range(5) if await memory.get("", f"r{number}")]
    assert found == [2, 3, 4]


async def test_a_response_that_is_put_again_counts_once() -> None:
    memory = ResponseMemory(Clock())
    for _ in range(5):
        memory.put(kept("r"), KEEP)
    assert (len(memory), memory.size) == (1, 2000)


async def test_one_that_is_larger_than_all_room_is_not_kept_and_takes_none() -> None:
    memory = ResponseMemory(Clock())
    memory.put(kept("small"), KEEP)
    memory.put(kept("large", size=6001), KEEP)
    assert await memory.get("", "large") is None
    assert await memory.get("", "small") is not None
    memory.put(kept("nothing"), Keep(seconds=10.0, most_bytes=0))
    assert (len(memory), memory.size) == (0, 0)


def test_what_is_counted_is_what_is_taken() -> None:
    memory = ResponseMemory()
    keep = Keep(most_bytes=2**30)
    tracemalloc.start()
    try:
        for number in range(2000):
            response = packed(orjson.dumps({"id": f"resp_{number}", "text": "x" * 700}))
            memory.put(KeptResponse(f"resp_{number}", "", response, packed(orjson.dumps({"input": "hi"}))), keep)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert memory.size / 2 < taken < memory.size
