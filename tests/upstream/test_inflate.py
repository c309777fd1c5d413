import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.upstream.faults import WireFault
from portbroker.upstream.inflate import Inflater
from portbroker.upstream.limits import Limits

TEXT = b'{"text": "' + bytes(range(32, 127)) * 40 + b'"}'


def bare_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def inflate(encoding: str, *pieces: bytes, limits: Limits | None = None) -> bytes:
    inflater = Inflater(encoding, limits or Limits())
    plain = b"".join(part for piece in pieces for part in inflater.feed(piece))
    inflater.finish()
    return plain


PACKED = {
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT[:10]) + gzip.compress(TEXT[10:]),
    "deflate": zlib.compress(TEXT),
    "deflate, bare": bare_deflate(TEXT),
}


@pytest.mark.parametrize("packing", PACKED)
@given(cuts=st.lists(st.integers(0, 500), max_size=8))
def test_an_answer_is_decoded_however_it_is_cut(packing: str, cuts: list[int]) -> None:
    data = PACKED[packing]
    marks = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(marks)]
    assert inflate(packing.split(",")[0], *pieces) == TEXT


@pytest.mark.parametrize("packing", PACKED)
def test_an_answer_that_breaks_off_is_never_whole(packing: str) -> None:
    data = PACKED[packing]
    whole = {len(gzip.compress(TEXT[:10]))} if packing == "x-gzip" else set()  # a member may be the last
    for length in set(range(1, len(data))) - whole:
        with pytest.raises(WireFault):
            inflate(packing.split(",")[0], data[:length])


def test_no_bytes_at_all_are_an_empty_answer() -> None:
    assert inflate("gzip") == b""


@pytest.mark.parametrize("data", [b"{}", b"<html>", gzip.compress(b"{}")[:-6] + b"\0" * 6, gzip.compress(b"{}") + b"x"])
def test_a_lying_encoding_is_found_out(data: bytes) -> None:
    with pytest.raises(WireFault):
        inflate("gzip", data)


def test_bytes_after_the_end_of_deflate_are_damage() -> None:
    with pytest.raises(WireFault):
        inflate("deflate", zlib.compress(b"{}") + b"x")


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "*"])
def test_an_unknown_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(WireFault):
        Inflater(encoding, Limits())


def test_a_bomb_is_stopped_soon_after_it_shows() -> None:
    inflater = Inflater("gzip", Limits())
    given_out = 0
    with pytest.raises(WireFault, match="beyond measure"):  # noqa: PT012 - how much came before is the point
        for part in inflater.feed(gzip.compress(bytes(50_000_000))):
            given_out += len(part)
    assert given_out < 10_000_000


def test_a_decoded_answer_has_the_bound_of_any_answer() -> None:
    with pytest.raises(WireFault, match="larger than 1000 bytes"):
        inflate("gzip", gzip.compress(TEXT), limits=Limits(body_bytes=1000))
    assert inflate("gzip", gzip.compress(TEXT), limits=Limits(body_bytes=len(TEXT))) == TEXT


def test_a_repetitive_answer_of_ordinary_size_is_no_bomb() -> None:
    assert inflate("gzip", gzip.compress(bytes(500_000))) == bytes(500_000)
