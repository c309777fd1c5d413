import errno
import socket
import ssl

import pytest

from portbroker.origin import Origin
from portbroker.upstream import UpstreamRequest
from portbroker.upstream.faults import WireFault, broken_off, fault, unreachable

REQUEST = UpstreamRequest(Origin("https", "api.acme.test", 443), "/v1/x?key=sk-1", {"x-api-key": "sk-2"}, b"sk-3")

REASONS = {
    "connection refused": ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 443)"),
    "the host name cannot be resolved": socket.gaierror(-2, "Name or service not known"),
    "the gateway has no file descriptor left": OSError(errno.EMFILE, "Too many open files"),
    "no route to the host": OSError(errno.ENETUNREACH, "Network is unreachable"),
    "TLS failed (handshake broken off)": ssl.SSLError("x"),
    "the connection was closed while it was being opened": ConnectionResetError(104, "reset"),
    "the connection failed": OSError("Multiple exceptions: [Errno 111] ('10.0.0.1', 443)"),
    "its ca_file is gone": WireFault("its ca_file is gone"),
}


@pytest.mark.parametrize("words", REASONS)
def test_an_unreachable_provider_is_named_with_the_reason_in_plain_words(words: str) -> None:
    error = unreachable(REQUEST, REASONS[words])
    assert str(error) == f"api.acme.test cannot be reached: {words}"
    assert (error.kind, error.retryable) == ("api", True)


def test_tls_that_ends_late_says_why() -> None:
    refused = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] ...")
    assert "without answering (TLS failed (" in str(broken_off(REQUEST, begun=False, error=refused))
    assert str(broken_off(REQUEST, begun=True, error=OSError(104, "10.0.0.1"))).endswith("in the middle of its answer")


def test_a_network_that_gives_up_is_a_time_out() -> None:
    assert unreachable(REQUEST, TimeoutError(errno.ETIMEDOUT, "x")).kind == "timeout"


def test_the_provider_is_named_as_in_the_file() -> None:
    request = UpstreamRequest(Origin("http", "::1", 11434), "/", {}, b"", provider="Local Ollama")
    error = fault(request, "fell silent")
    assert str(error) == "Local Ollama ([::1]:11434) fell silent"
    assert error.provider == "Local Ollama"
