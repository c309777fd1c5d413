"""Windows in a Redis or Valkey, for limits that replicas share without asking their database.

A hash for each bucket, with a field for each second, changed by one script, which is what makes it exact. Time is the
server's own: clocks of replicas differ. The one rule: the `redis` package is an extra, and only imported here.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from portbroker.errors import StoreDown, StoreError
from portbroker.store.records import Micros, Take, Taken

_TIMEOUT = 1.5
_MINUTE = 60_000_000

_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local takes, answers, enough = cjson.decode(ARGV[1]), {}, true
for i, take in ipairs(takes) do
  local width = take.window / 60
  local oldest = math.floor((now - take.window) / width)
  local used, slots = 0, {}
  local all = redis.call('HGETALL', KEYS[i])
  for at = 1, #all, 2 do
    local slot, count = tonumber(all[at]), tonumber(all[at + 1])
    if slot < oldest then
      redis.call('HDEL', KEYS[i], all[at])
    else
      used = used + count
      slots[#slots + 1] = {slot, count}
    end
  end
  local lacking = used + take.amount - take.limit
  local wait = 0
  if lacking > 0 then
    enough = false
    table.sort(slots, function(a, b) return a[1] < b[1] end)
    wait = take.window
    for _, one in ipairs(slots) do
      lacking = lacking - one[2]
      if lacking <= 0 then
        wait = (one[1] + 1) * width + take.window - now
        break
      end
    end
  end
  answers[i] = {take.limit - used, math.max(wait, 0)}
end
for i, take in ipairs(takes) do
  if enough then
    redis.call('HINCRBY', KEYS[i], math.floor(now / (take.window / 60)), take.amount)
    redis.call('PEXPIRE', KEYS[i], math.ceil(take.window / 500))
    answers[i][1] = answers[i][1] - take.amount
  end
end
return cjson.encode({enough, answers})
"""

_CORRECT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local width = ARGV[3] / 60
local slot = math.floor((now - ARGV[1]) / width)
if slot >= math.floor((now - ARGV[3]) / width) then
  redis.call('HINCRBY', KEYS[1], slot, ARGV[2])
  redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[3] / 500))
end
return 1
"""


class RedisBuckets:
    """The windows at this URL. Raises `StoreError` where the extra is not installed."""

    def __init__(self, url: str) -> None:
        try:
            from redis.asyncio import Redis
        except ImportError:
            message = "`limits.backend` names a Redis: install PortBroker with its extra, `portbroker[redis]`"
            raise StoreError(message) from None
        for ours, theirs in (("valkeys://", "rediss://"), ("valkey://", "redis://")):
            url = url.replace(ours, theirs, 1) if url.startswith(ours) else url
        self._redis = Redis.from_url(url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT)
        self._take = self._redis.register_script(_TAKE)
        self._correct = self._redis.register_script(_CORRECT)

    async def take(self, takes: Sequence[Take], now: Micros) -> list[Taken]:
        """Take from all of these buckets, or from none; `now` is the server's to say."""
        asked = [{"amount": take.amount, "limit": take.limit, "window": take.window} for take in takes]
        with _told():
            said: Any = await self._take(keys=[_key(take.bucket) for take in takes], args=[json.dumps(asked)])
        enough, answers = json.loads(said)
        return [Taken(enough or not wait, int(left), int(wait)) for left, wait in answers]

    async def correct(self, bucket: str, at: Micros, by: int, window: Micros = _MINUTE) -> None:
        """Count more (or with less than nothing, less) in what was taken at that time of this machine's clock."""
        age = max(0, time.time_ns() // 1000 - at)
        with _told():
            await self._correct(keys=[_key(bucket)], args=[age, by, window])

    async def close(self) -> None:
        """Let go of the server."""
        await self._redis.aclose()


def _key(bucket: str) -> str:
    """The key of a bucket. Those of one API key are kept together by a cluster: a script can only change such."""
    holder, _, what = bucket.rpartition(":")
    return f"portbroker:{{{holder}}}:{what}"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Faults as ours."""
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreDown(f"the Redis of `limits.backend` does not answer ({type(error).__name__})") from error
