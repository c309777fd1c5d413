"""Every fault of a provider, in every pair of dialects, whole and streamed, at the first target and at the last one.

Each cell says what its client gets, how many attempts there were and what was recorded; and afterwards the gateway is
quiet again.
"""

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from portbroker import relay
from tests.fault_grid import NOBODY, STREAMED, Cell, Got, grid
from tests.upstream_faults import AFTER_CONTENT, HARMLESS, SAID, SECRET, WORTHLESS, breaking, wordless

ENDS = {"openai.chat": b"[DONE]", "openai.responses": b"response.completed", "anthropic.messages": b"message_stop"}
NOWHERE = {"U1-refused": NOBODY, "U1-no-such-name": "http://provider.invalid"}
CA = trustme.CA()
POSITION = pytest.mark.parametrize("last", [False, True], ids=["first-target", "last-target"])


@pytest.fixture(autouse=True)
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log, in which every call has its line, and there is neither a traceback nor a secret."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    records = caplog.get_records("call")
    assert not [record for record in records if record.exc_info or record.levelno > logging.WARNING]
    assert SECRET not in "".join(record.getMessage() for record in records)


def _answered(cell: Cell, got: Got, attempts: int, *, counted: bool = True) -> None:
    """The whole answer came, and nothing else."""
    assert got.status == 200, f"{cell}: {got.raw!r}"
    assert got.words.startswith("Mock answer "), cell
    assert got.words.endswith(SAID), cell
    assert got.words.count(SAID) == 1, cell
    assert not got.error, cell
    assert got.headers["x-portbroker-attempts"] == str(attempts), cell
    assert got.headers["x-portbroker-provider"] == f"{'F' if attempts == 1 else 'G'}{cell.number}", cell
    assert "tokens=" in got.line or not counted, cell
    assert "partial" not in got.line, cell
    if cell.stream:
        assert ENDS[cell.says] in got.raw, cell


def _refused(cell: Cell, got: Got, status: int) -> None:
    """An honest error came, from the only one who was asked."""
    assert got.status == (503 if status == 529 and cell.says != "anthropic.messages" else status), (
        f"{cell}: {got.raw!r}"
    )
    assert got.headers["content-type"] == "application/json", cell
    assert got.error, cell
    assert got.headers["x-portbroker-attempts"] == "1", cell
    assert got.headers["x-portbroker-provider"] == f"F{cell.number}", cell
    assert "set-cookie" not in got.headers, cell
    assert f" {got.status} " in got.line, cell
    assert f"F{cell.number}/m{cell.number} (" in got.line, cell


def _settled(results: list[tuple[Cell, Got]], *, last: bool, status: int) -> None:
    for cell, got in results:
        if last:
            _refused(cell, got, status)
        else:
            _answered(cell, got, 2)


@POSITION
@pytest.mark.parametrize("fault", WORTHLESS)
async def test_a_worthless_answer_is_hidden_or_an_honest_error(
    fault: str, last: bool, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "WHOLE_LIMIT", 300_000)
    script, status = WORTHLESS[fault]
    async with grid(lines, lambda _: script, last=last, first_byte=0.5 if fault.startswith("U2") else 5) as here:
        _settled(await here.run(), last=last, status=status)


def _knowing_no_such_name(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """The system's resolver, but with an answer of its own for names that are nobody's: a network may have none."""

    def resolved(host: Any, *how: Any, **more: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *how, **more)

    return resolved


@POSITION
@pytest.mark.parametrize("fault", NOWHERE)
async def test_who_is_not_there_is_hidden_or_an_honest_error(
    fault: str, last: bool, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _knowing_no_such_name(socket.getaddrinfo))
    async with grid(lines, NOWHERE[fault], last=last) as here:
        _settled(await here.run(), last=last, status=502)


def _certificate(fault: str) -> trustme.LeafCert:
    authority = trustme.CA() if fault == "U15-another-authority" else CA
    if fault == "U15-expired":
        return authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1))
    return authority.issue_cert("other.test" if fault == "U15-another-host" else "127.0.0.1")


@POSITION
@pytest.mark.parametrize("fault", ["U15-expired", "U15-another-host", "U15-another-authority", "U15-self-signed"])
async def test_who_cannot_prove_its_name_is_hidden_or_an_honest_error(
    fault: str, last: bool, lines: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _certificate(fault).configure_cert(context)
    # One that is signed by itself meets the system's trust store.
    ca_file = "" if fault == "U15-self-signed" else str(tmp_path / "ca.pem")
    sound = HARMLESS["sound"]
    async with grid(lines, sound, last=last, tls=context, ca_file=ca_file) as here:
        _settled(await here.run(), last=last, status=502)
        assert not any(provider.requests for provider in here.faulty.values())


@POSITION
async def test_a_stream_that_breaks_before_its_first_word_is_hidden_or_an_honest_error(
    last: bool, lines: pytest.LogCaptureFixture
) -> None:
    async with grid(lines, wordless, last=last, cells=STREAMED) as here:
        _settled(await here.run(), last=last, status=502)


@POSITION
@pytest.mark.parametrize("in_event", [False, True], ids=["between-events", "in-an-event"])
@pytest.mark.parametrize("fault", AFTER_CONTENT)
async def test_a_stream_that_breaks_ends_with_an_error_event(
    fault: str, in_event: bool, last: bool, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "END_AFTER", 0.05)  # that is how long a provider may stay once it has told its error
    idle = 0.3 if fault.startswith("U6") or in_event else 5
    script = lambda speaks: breaking(fault, speaks, in_event=in_event)  # noqa: E731
    async with grid(lines, script, last=last, cells=STREAMED, idle=idle) as here:
        for cell, got in await here.run():
            assert got.status == 200, cell
            assert got.words.startswith("Mock answer 1 of sound."), cell
            assert SAID not in got.words, cell
            assert got.error, cell
            assert ENDS[cell.says] not in got.raw, cell
            assert got.headers["x-portbroker-attempts"] == "1", cell
            assert " partial " in got.line, cell


@POSITION
@pytest.mark.parametrize("fault", HARMLESS)
async def test_what_is_harmless_is_neither_seen_nor_costs_an_attempt(
    fault: str, last: bool, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "PING_AFTER", 0.02)
    async with grid(lines, HARMLESS[fault], last=last) as here:
        for _ in range(2):  # the second time on connections that were used before
            for cell, got in await here.run():
                _answered(cell, got, 1, counted=fault not in ("U18-huge", "U18-null"))  # which are no figures at all
                assert got.pings or not (cell.stream and fault == "U7-silence"), cell
