"""Rate-limit headers in the spelling of one API, told in that of the other.

The one rule: a moment and a duration are converted by the provider's own `date`, so no clock is read here; without one
a reset is left out.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import ceil

_ANTHROPIC = "anthropic-ratelimit-"
_OPENAI = "x-ratelimit-"
_RESOURCES = ("requests", "tokens")
_STEP = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|us|µs|ns|d|h|m|s)")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_LONGEST = 366 * 86400.0


def rate_limits_for(client: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The rate limits in `headers` as a client of the dialect `client` reads them."""
    own, other = (_ANTHROPIC, _OPENAI) if client == "anthropic.messages" else (_OPENAI, _ANTHROPIC)
    limits = {name: value for name, value in headers.items() if name.startswith(own)}
    if limits or not any(name.startswith(other) for name in headers):
        return limits
    return _to_anthropic(headers) if own is _ANTHROPIC else _to_openai(headers)


def without_rate_limits(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` for a client that more than one provider serves: no one of them can speak for all."""
    return {name: value for name, value in headers.items() if not name.startswith((_ANTHROPIC, _OPENAI))}


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Seconds that a provider asks to be left alone: its Retry-After, else the reset of what is used up."""
    exact = _duration(f"{headers.get('retry-after-ms', '')}ms")
    if exact is None:
        exact = _duration(headers.get("retry-after", ""))
    if exact is None:
        exact = _until(headers, _http_date(headers.get("retry-after", "")))
    if exact is not None:
        return exact
    resets = [
        _until(headers, _moment(headers.get(f"{name}-reset", "")))
        for name in (f"{_ANTHROPIC}{kind}" for kind in ("requests", "tokens", "input-tokens", "output-tokens"))
        if headers.get(f"{name}-remaining") == "0"
    ]
    resets += [
        _duration(headers.get(f"{_OPENAI}reset-{kind}", ""))
        for kind in _RESOURCES
        if headers.get(f"{_OPENAI}remaining-{kind}") == "0"
    ]
    return max((reset for reset in resets if reset is not None), default=None)


def _until(headers: Mapping[str, str], moment: datetime | None) -> float | None:
    """Seconds from the provider's own time to a moment; None where either is missing, or the moment is past."""
    now = _date(headers)
    if now is None or moment is None:
        return None
    seconds = (moment - now).total_seconds()
    return seconds if 0 < seconds <= _LONGEST else None


def _to_anthropic(headers: Mapping[str, str]) -> dict[str, str]:
    limits: dict[str, str] = {}
    now = _date(headers)
    for resource in _RESOURCES:
        for what in ("limit", "remaining"):
            if value := headers.get(f"{_OPENAI}{what}-{resource}"):
                limits[f"{_ANTHROPIC}{resource}-{what}"] = value
        wait = _duration(headers.get(f"{_OPENAI}reset-{resource}", ""))
        if now is not None and wait is not None:
            moment = now + timedelta(seconds=ceil(wait))
            limits[f"{_ANTHROPIC}{resource}-reset"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return limits


def _to_openai(headers: Mapping[str, str]) -> dict[str, str]:
    limits: dict[str, str] = {}
    now = _date(headers)
    for resource, source in (("requests", "requests"), ("tokens", _scarcest(headers))):
        for what in ("limit", "remaining"):
            if value := headers.get(f"{_ANTHROPIC}{source}-{what}"):
                limits[f"{_OPENAI}{what}-{resource}"] = value
        moment = _moment(headers.get(f"{_ANTHROPIC}{source}-reset", ""))
        if now is not None and moment is not None:
            limits[f"{_OPENAI}reset-{resource}"] = _spell((moment - now).total_seconds())
    return limits


def _scarcest(headers: Mapping[str, str]) -> str:
    """Which of Anthropic's token limits is told as the one that OpenAI knows."""
    left = {
        kind: int(value)
        for kind in ("tokens", "input-tokens", "output-tokens")
        if (value := headers.get(f"{_ANTHROPIC}{kind}-remaining", "")).isdecimal() and len(value) < 16
    }
    return "tokens" if "tokens" in left or not left else min(left, key=left.__getitem__)


def _date(headers: Mapping[str, str]) -> datetime | None:
    """The provider's time; None when it names none, or one that no clock shows."""
    return _http_date(headers.get("date", ""))


def _http_date(value: str) -> datetime | None:
    """A moment as HTTP writes it."""
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    # HTTP dates are always GMT; and far from both ends of time, adding to one cannot overflow.
    return date.replace(tzinfo=UTC) if 2000 < date.year < 9000 else None


def _moment(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _duration(value: str) -> float | None:
    """Seconds of `6m0s`, `20ms`, `1h2m3.5s` or a plain number."""
    steps = _STEP.findall(value)
    if steps and "".join(number + unit for number, unit in steps) == value:
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in steps)
    elif re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", value):
        seconds = float(value)
    else:
        return None
    return seconds if seconds <= _LONGEST else None


def _spell(seconds: float) -> str:
    """A duration as OpenAI writes it: `6m0s`, `1h0m0s`, `12s`."""
    left = max(0, ceil(seconds))
    minutes, rest = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
