"""The calls of the benchmark are calls that PortBroker can carry."""

import orjson
import pytest

from bench.scenarios import PATHS, SCENARIOS, call, request
from portbroker.call import parse_call
from portbroker.conversation import Report
from portbroker.dialects.registry import DIALECTS


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_call_can_be_read_without_loss(name: str) -> None:
    scenario = SCENARIOS[name]
    head, _, body = request(scenario, 1).partition(b"\r\n\r\n")
    assert head.startswith(b"POST %b HTTP/1.1" % PATHS[scenario.dialect].encode())
    read = parse_call(body, DIALECTS[scenario.dialect])
    assert read.stream is scenario.stream
    report = Report()
    DIALECTS[scenario.dialect].decode_request(orjson.loads(body), report)
    assert not report.lossy()


def test_bodies_are_the_same_in_every_run() -> None:
    scenario = SCENARIOS["anthropic_agent"]
    assert call(scenario) == call(scenario)
    assert 60_000 < len(request(scenario, 1)) < 75_000
