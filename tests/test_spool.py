"""The spool: what was appended is there after the process is gone, and nothing else is."""

import os
import subprocess
import sys
import textwrap
import timeit
from pathlib import Path

import pytest

from portbroker.spool import Spool, orphans, segments, waiting


def records(directory: Path) -> list[bytes]:
    found = []
    for segment in orphans(directory):
        found += segment.records()
        segment.release()
    return found


def test_what_was_appended_is_in_the_sealed_segment_in_its_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(100):
        assert spool.append(b"record %d" % number)
    segment = spool.seal()
    assert segment is not None
    assert segment.records() == [b"record %d" % number for number in range(100)]
    assert spool.seal() is None
    segment.discard()
    assert segments(tmp_path) == []


def test_a_segment_of_a_living_process_is_nobodys_orphan(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"mine")
    assert list(orphans(tmp_path)) == []
    segment = spool.seal()
    assert segment is not None
    assert list(orphans(tmp_path)) == []
    segment.release()
    assert records(tmp_path) == [b"mine"]


def test_a_killed_process_leaves_all_that_it_appended(tmp_path: Path) -> None:
    child = """
        import os, signal, sys
        from pathlib import Path
        from portbroker.spool import Spool
        spool = Spool(Path(sys.argv[1]))
        for number in range(1000):
            spool.append(b"record %d" % number)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(child), str(tmp_path)], check=False)
    assert done.returncode == -9
    assert records(tmp_path) == [b"record %d" % number for number in range(1000)]


def test_an_orphan_has_one_finder(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"one")
    segment = spool.seal()
    assert segment is not None
    segment.release()
    (first,) = orphans(tmp_path)
    assert list(orphans(tmp_path)) == []
    first.discard()
    assert list(orphans(tmp_path)) == []


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_record_that_is_cut_short_ends_its_segment(tmp_path: Path, cut: int) -> None:
    spool = Spool(tmp_path)
    spool.append(b"whole")
    spool.append(b"cut")
    segment = spool.seal()
    assert segment is not None
    os.truncate(segment.path, segment.size - cut)
    assert segment.records() == [b"whole"]
    segment.discard()


def test_a_damaged_record_ends_its_segment(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"whole")
    spool.append(b"damaged")
    segment = spool.seal()
    assert segment is not None
    with segment.path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    assert segment.records() == [b"whole"]
    segment.discard()


def test_a_full_spool_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=100)
    assert spool.append(b"x" * 60)
    assert not spool.append(b"x" * 60)
    assert spool.counts.spooled == 1
    assert waiting(tmp_path).bytes == 68


def test_others_segments_count_against_the_limit(tmp_path: Path) -> None:
    first = Spool(tmp_path, limit=100)
    assert first.append(b"x" * 60)
    assert not Spool(tmp_path, limit=100).append(b"x" * 60)


def test_a_directory_that_is_gone_costs_the_record_and_not_the_call(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "gone")
    assert not spool.append(b"record")


def test_segments_and_dead_letters_are_for_this_user_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"record")
    spool.bury([b'{"a": 1}', b'{"b": 2}'])
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert (tmp_path / "dead-letters.jsonl").read_text() == '{"a": 1}\n{"b": 2}\n'
    assert spool.counts.dead == 2


def test_what_waits_is_told_with_its_age(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"record")
    told = waiting(tmp_path)
    assert (told.segments, told.bytes) == (1, 14)
    assert 0 <= told.oldest < 60
    assert waiting(tmp_path / "gone").segments == 0


def test_a_record_costs_microseconds(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    record = b"x" * 600
    best = min(timeit.repeat(lambda: spool.append(record), number=1000, repeat=5)) / 1000
    assert best < 50e-6  # about 1 us; the bound is for a machine that is busy
