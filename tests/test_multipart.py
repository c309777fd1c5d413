"""Forms: where a field stands among files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.errors import CallError
from portbroker.multipart import field_spans, is_form

TYPE = 'multipart/form-data; boundary="xyz"'


def form(*parts: tuple[str, bytes], boundary: bytes = b"xyz", head: bytes = b"", end: bytes = b"--\r\n") -> bytes:
    written = [b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, name.encode(), value) for name, value in parts]
    return head + b"".join(written) + b"--" + boundary + end


def field(name: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"'


def values(raw: bytes, content_type: str = TYPE) -> dict[str, bytes]:
    return {name: raw[start:end] for name, (start, end) in field_spans(raw, content_type).items()}


def test_fields_are_found_wherever_they_stand_among_files() -> None:
    file = field("file") + '; filename="a; name=\\"model\\".mp3"\r\nContent-Type: audio/mpeg'
    raw = form((field("language"), b"en"), (file, b"\r\n--xy\r\n\0" * 100), (field("model"), b"whisper-1"))
    assert values(raw) == {"language": b"en", "model": b"whisper-1"}


@pytest.mark.parametrize(
    "head",
    [
        'content-disposition: form-data; name="model"',
        "Content-Disposition:form-data;name=model",
        'Content-Type: text/plain\r\nContent-Disposition: form-data; charset=x; name="model"\r\nX-Other: 1',
    ],
)
def test_a_field_is_known_however_its_head_is_written(head: str) -> None:
    assert values(form((head, b"m"))) == {"model": b"m"}


def test_of_a_field_that_is_there_twice_the_first_counts() -> None:
    assert values(form((field("model"), b"a"), (field("model"), b"b"))) == {"model": b"a"}


@pytest.mark.parametrize("end", [b"--", b"--\r\n", b"--\r\nepilogue"])
@pytest.mark.parametrize("head", [b"", b"preamble\r\n"])
def test_what_stands_around_a_form_does_not_matter(head: bytes, end: bytes) -> None:
    assert values(form((field("model"), b""), head=head, end=end)) == {"model": b""}


def test_a_part_without_a_head_or_with_an_endless_one_is_no_field() -> None:
    assert values(b"--xyz\r\n\r\nvalue\r\n" + form((field("model"), b"m"))) == {"model": b"m"}
    assert values(form(("x: " + "y" * 5000 + "\r\n" + field("model"), b"m"))) == {}
    assert values(form()) == {}


@pytest.mark.parametrize(
    ("raw", "content_type", "says"),
    [
        (form((field("model"), b"m")), "multipart/form-data", "boundary"),
        (form((field("model"), b"m")), "multipart/form-data; boundary=other", "boundary"),
        (b"", TYPE, "boundary"),
        (b"--xyz", TYPE, "breaks off"),
        (form((field("model"), b"m"))[:-9], TYPE, "breaks off"),
        (form(*[(field("n"), b"")] * 1002), TYPE, "1000 parts"),
    ],
)
def test_what_is_no_form_is_refused_with_the_reason(raw: bytes, content_type: str, says: str) -> None:
    with pytest.raises(CallError, match=says):
        field_spans(raw, content_type)


def test_a_form_is_told_by_its_type_alone() -> None:
    assert is_form("Multipart/Form-Data; boundary=x")
    assert not is_form("application/json")
    assert not is_form("")


@given(st.binary(max_size=200).map(lambda data: b"--xyz\r\n" + data + b"\r\n--xyz--"))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    for start, end in field_spans(raw, TYPE).values():
        assert 0 <= start <= end <= len(raw)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=30)), max_size=6))
def test_what_was_written_is_read(fields: list[tuple[str, bytes]]) -> None:
    written = [(name, value) for name, value in fields if b"--xyz" not in value]
    expected: dict[str, bytes] = {}
    for name, value in written:
        expected.setdefault(name, value)
    assert values(form(*((field(name), value) for name, value in written))) == expected
