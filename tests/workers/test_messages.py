"""Messages survive the way through the socket, however it cuts them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portbroker.config.load import load
from portbroker.workers.messages import (
    Asked,
    Commit,
    Committed,
    Counted,
    Inbox,
    Look,
    Looked,
    Message,
    NotUnderstood,
    Prepare,
    Ready,
    Refused,
    Reported,
    Stop,
    Told,
    encode,
)

NUMBERS = st.integers(min_value=0)
BODIES = st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.lists(st.booleans()))
TIMES = st.floats(min_value=0, max_value=1e12)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(
        Prepare,
        NUMBERS,
        st.text(),
        st.text(),
        st.text(),
        st.binary(),
        st.dictionaries(st.text(), st.text(st.characters())),
        st.dictionaries(st.text(), st.none() | st.binary()),
    ),
    st.builds(Ready, NUMBERS),
    st.builds(Refused, NUMBERS, st.text()),
    st.builds(Commit, NUMBERS, TIMES),
    st.builds(Committed, NUMBERS),
    st.builds(Stop),
    st.builds(Look, st.text(), NUMBERS, st.booleans()),
    st.builds(Looked, NUMBERS, BODIES),
    st.builds(Reported, BODIES),
    st.builds(Counted, BODIES),
    st.builds(Asked, NUMBERS, st.text(), BODIES),
    st.builds(Told, NUMBERS, BODIES),
)


@given(st.lists(MESSAGES, max_size=4), st.integers(min_value=1, max_value=64))
def test_messages_arrive_as_they_were_sent_however_they_are_cut(messages: list[Message], size: int) -> None:
    data = b"".join(map(encode, messages))
    inbox = Inbox()
    assert [m for at in range(0, len(data), size) for m in inbox.feed(data[at : at + size])] == messages


def test_a_variable_that_is_not_text_arrives_all_the_same() -> None:
    message = Prepare(1, "r", "f", "/", b"\xff\x00", {"ODD": "\udcff"}, {"a": None, "b": b"\x80"})
    assert Inbox().feed(encode(message)) == [message]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x02{}",
        b"\x00\x00\x00\x03\xff\xff\xff",
        b"\x00\x00\x00\x02[]",
        b'\x00\x00\x00\x0e{"kind":"run"}',
        b'\x00\x00\x00\x10{"kind":"ready"}',
    ],
)
def test_what_is_none_of_ours_is_not_understood(data: bytes) -> None:
    with pytest.raises(NotUnderstood):
        Inbox().feed(data)


def test_a_configuration_that_is_handed_on_is_the_same_whatever_has_become_of_the_files(tmp_path: Path) -> None:
    path = tmp_path / "portbroker.yaml"
    path.write_text('providers:\n  - {name: A, base_url: "http://a", api_key: "{{ env.A_KEY }}"}\n')
    (tmp_path / ".env").write_text("A_KEY=sk-7")
    loaded = load(path, environ={})
    message = Prepare.of(loaded, 3, tmp_path)
    path.unlink()
    (tmp_path / ".env").unlink()
    (arrived,) = Inbox().feed(encode(message))
    assert isinstance(arrived, Prepare)
    again = arrived.load()
    assert (again.config, again.revision, again.file) == (loaded.config, loaded.revision, str(path))
    assert "sk-7" not in repr(arrived)
