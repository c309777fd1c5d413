"""Sides that are PortBroker itself."""

from pathlib import Path

from bench.report import table
from bench.sides import gateway
from portbroker.compile import compile_snapshot
from portbroker.config.load import load
from tests.bench.test_report import row


def test_a_variant_is_told_what_it_costs_more() -> None:
    assert "it costs 1.20 x" in table([row("portbroker", 100), row("dead_first", 120)])


def test_a_gateway_asks_its_providers_in_the_order_given(tmp_path: Path) -> None:
    command = gateway(tmp_path / "portbroker.yaml", 1, 7001, 7002, workers=2)
    assert command[-4:] == ["--port", "1", "--workers", "2"]
    snapshot = compile_snapshot(load(tmp_path / "portbroker.yaml"))
    assert [provider.base_url[-8:] for provider in snapshot.providers.values()] == [":7001/v1", ":7002/v1"]
