import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.origin import Origin
from portbroker.upstream import UpstreamRequest
from portbroker.upstream.faults import WireFault
from portbroker.upstream.head import _OURS, Heads, request_head

ACME = Origin("https", "api.acme.test", 443)


def head(origin: Origin = ACME, target: str = "/v1/messages", body: bytes = b"{}", **headers: str) -> bytes:
    return request_head(UpstreamRequest(origin, target, headers, body))


def test_a_head_holds_what_http_needs_and_the_headers_given() -> None:
    assert head(authorization="Bearer k") == (
        b"POST /v1/messages HTTP/1.1\r\nhost: api.acme.test\r\naccept-encoding: identity\r\n"
        b"authorization: Bearer k\r\ncontent-length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (Origin("http", "acme.test", 80), b"acme.test"),
        (Origin("http", "acme.test", 443), b"acme.test:443"),
        (Origin("https", "::1", 443), b"[::1]"),
        (Origin("http", "::1", 11434), b"[::1]:11434"),
        (Origin("https", "bücher.test", 443), b"xn--bcher-kva.test"),
    ],
)
def test_the_host_is_written_as_http_spells_it(origin: Origin, host: bytes) -> None:
    assert head(origin).split(b"\r\n")[1] == b"host: " + host


def test_a_get_without_a_body_has_no_length() -> None:
    assert b"length" not in request_head(UpstreamRequest(ACME, "/v1/models", {}, b"", method="GET"))
    assert b"content-length: 0" in request_head(UpstreamRequest(ACME, "/v1/models", {}, b""))


def test_headers_that_frame_the_message_are_the_transports_own() -> None:
    forged = {"Content-Length": "99", "Transfer-Encoding": "chunked", "HOST": "evil.test", "Accept-Encoding": "gzip"}
    assert request_head(UpstreamRequest(ACME, "/v1/messages", forged, b"{}")) == head()


def test_a_head_that_lasts_is_the_same_but_for_its_length() -> None:
    heads, headers, other = Heads(), {"x-api-key": "one"}, {"x-api-key": "two"}
    for body in (b"{}", b"", b"x" * 1000, b"{}"):
        for sent, path in ((headers, "/a"), (other, "/a"), (headers, "/b")):
            lasting = UpstreamRequest(ACME, path, sent, body, lasting=True)
            assert heads.of(lasting) == request_head(UpstreamRequest(ACME, path, sent, body))


def test_a_head_that_lasts_is_looked_at_as_any_other() -> None:
    with pytest.raises(WireFault):
        Heads().of(UpstreamRequest(ACME, "/", {"x": "a\r\ny: b"}, b"", lasting=True))


def test_more_heads_than_are_kept_are_still_right() -> None:
    heads, headers = Heads(), {"x": "y"}
    for number in range(1000):
        request = UpstreamRequest(ACME, f"/{number}", headers, b"{}", lasting=True)
        assert heads.of(request) == request_head(request)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\ny", "a\ry", "a\0y", "\n", "\ud800"])
def test_a_value_that_could_end_its_header_is_refused(value: str) -> None:
    with pytest.raises(WireFault) as refusal:
        head(authorization="Bearer sk-secret" + value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "a\0", "ä"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(WireFault):
        request_head(UpstreamRequest(ACME, "/", {name: "x"}, b""))


@pytest.mark.parametrize("target", ["", "v1", "/a b", "/a\r\nx: y", "/ä", "http://evil.test/"])
def test_a_target_that_is_no_path_is_refused(target: str) -> None:
    with pytest.raises(WireFault):
        head(target=target)


@pytest.mark.parametrize("host", ["", "a b", "a\r\nx: y", "ä" * 70])
def test_a_host_that_cannot_be_written_is_refused(host: str) -> None:
    with pytest.raises(WireFault):
        head(Origin("https", host, 443))


def test_a_method_that_would_change_how_answers_are_framed_is_refused() -> None:
    with pytest.raises(WireFault):
        request_head(UpstreamRequest(ACME, "/", {}, b"", method="HEAD"))


@given(st.dictionaries(st.text(), st.text()))
def test_a_head_is_refused_or_holds_exactly_the_lines_that_were_given(headers: dict[str, str]) -> None:
    try:
        lines = request_head(UpstreamRequest(ACME, "/", headers, b"")).decode().split("\r\n")
    except WireFault:
        return
    assert len(lines) == 3 + sum(name.lower() not in _OURS for name in headers) + 3
    assert not any(sign in line for line in lines for sign in "\r\n\0")
