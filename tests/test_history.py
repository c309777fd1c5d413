"""The last good revisions: kept, bounded, found by name, and written back."""

import os
import stat
import time
from pathlib import Path

import pytest

from portbroker.config.environment import NAMES
from portbroker.config.load import Loaded, load
from portbroker.history import MOST, History, UnknownRevision
from portbroker.restoring import MOST_REPLACED, restore
from portbroker.state_dir import StateDir


def saved(directory: Path, text: str) -> Loaded:
    path = directory / "portbroker.yaml"
    path.write_text(text)
    return load(path, environ={"KEY": "sk-not-to-be-kept"})


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(StateDir(tmp_path / ".portbroker"))


def test_what_is_served_is_kept_as_it_stands_with_what_it_changed(tmp_path: Path, history: History) -> None:
    text = "providers: [{name: P, base_url: 'http://127.0.0.1:9/v1', api_key: '{{ env.KEY }}'}]\n"
    loaded = saved(tmp_path, text)
    history.keep(loaded, "save", ["provider P added"], at=12.5)
    (entry,) = history.entries()
    assert (entry.revision, entry.at, entry.cause, entry.text) == (loaded.revision, 12.5, "save", text.encode())
    assert entry.changes == ("provider P added",)
    kept = list(history.directory.iterdir())
    assert "sk-not" not in kept[0].read_text()
    assert stat.S_IMODE(kept[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(history.directory.stat().st_mode) == 0o700


def test_the_same_again_is_no_news_and_another_time_is(tmp_path: Path, history: History) -> None:
    one, two = saved(tmp_path, "server: {port: 1}\n"), saved(tmp_path, "server: {port: 2}\n")
    for number, loaded in enumerate((one, one, two, one)):
        history.keep(loaded, "save", at=float(number))
    assert [entry.revision for entry in history.entries()] == [one.revision, two.revision, one.revision]


def test_only_so_many_are_kept(tmp_path: Path, history: History) -> None:
    for number in range(MOST + 5):
        history.keep(saved(tmp_path, f"server: {{port: {number}}}\n"), "save", at=float(number))
    entries = history.entries()
    assert len(entries) == MOST
    assert entries[0].text == f"server: {{port: {MOST + 4}}}\n".encode()


def test_large_files_are_bounded_by_their_bytes(
    tmp_path: Path, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portbroker.history.MOST_BYTES", 10_000)
    for number in range(9):
        history.keep(saved(tmp_path, f"server: {{port: {number}}}\n#{'x' * 3000}\n"), "save", at=float(number))
    assert [entry.at for entry in history.entries()] == [8.0, 7.0, 6.0]


def test_an_entry_that_cannot_be_read_is_passed_over(tmp_path: Path, history: History) -> None:
    history.keep(saved(tmp_path, "server: {port: 1}\n"), "save")
    (history.directory / "00000000000000000009-deadbeef.json").write_text('{"revision": 1}')
    (history.directory / "00000000000000000008-deadbeef.json").write_text("{")
    assert len(history.entries()) == 1


def test_a_place_that_cannot_be_written_is_told_once_and_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    history = History(StateDir(tmp_path / "file" / ".portbroker"))
    for number in (1, 2):
        history.keep(saved(tmp_path, f"server: {{port: {number}}}\n"), "save")
    assert caplog.text.count("the history is not kept") == 1
    assert history.entries() == []


def test_a_revision_is_found_by_its_beginning(tmp_path: Path, history: History) -> None:
    loaded = saved(tmp_path, "server: {port: 1}\n")
    history.keep(loaded, "save")
    assert history.find(loaded.revision[:6]).revision == loaded.revision
    for name in ("ffffffff", loaded.revision[:3], ""):
        with pytest.raises(UnknownRevision, match=f"no revision .*it has: {loaded.revision}"):
            history.find(name)


# writing back


def parts(directory: Path, **files: str) -> Loaded:
    (directory / "parts").mkdir(exist_ok=True)
    for path in (directory / "parts").iterdir():
        path.unlink()
    for name, text in files.items():
        (directory / "parts" / f"{name}.yaml").write_text(text)
    return saved(directory, "include: ['parts/*.yaml']\n")


def test_a_revision_is_written_back_with_all_its_parts_and_what_was_there_is_kept(
    tmp_path: Path, history: History
) -> None:
    before = parts(tmp_path, a="server: {port: 1}\n", b="retry: {attempts: 2}\n")
    history.keep(before, "save")
    parts(tmp_path, a="server: {port: 3}\n", c="breaker: {failures: 9}\n")
    file = tmp_path / "portbroker.yaml"
    kept = restore(history.find(before.revision), file, history)
    assert load(file).revision == before.revision
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["a.yaml", "b.yaml"]
    assert kept is not None
    assert {str(p.relative_to(kept)): p.read_text() for p in kept.rglob("*.yaml")} == {
        "parts/a.yaml": "server: {port: 3}\n", "parts/c.yaml": "breaker: {failures: 9}\n",
    }  # fmt: skip
    assert restore(history.find(before.revision), file, history) is None


def test_a_mode_and_a_link_stay_what_they_are(tmp_path: Path, history: History) -> None:
    before = saved(tmp_path, "server: {port: 1}\n")
    history.keep(before, "save")
    file = tmp_path / "portbroker.yaml"
    (tmp_path / "real").mkdir()
    os.rename(file, tmp_path / "real" / "x.yaml")
    file.symlink_to("real/x.yaml")
    file.write_text("server: {port: 2}\n")
    file.chmod(0o640)
    restore(history.find(before.revision), file, history)
    assert file.is_symlink()
    assert (tmp_path / "real" / "x.yaml").read_text() == "server: {port: 1}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path / "real")) == ["x.yaml"]


def test_a_file_that_is_gone_comes_back(tmp_path: Path, history: History) -> None:
    before = saved(tmp_path, "server: {port: 1}\n")
    history.keep(before, "save")
    (tmp_path / "portbroker.yaml").unlink()
    restore(history.find(before.revision), tmp_path / "portbroker.yaml", history)
    assert load(tmp_path / "portbroker.yaml").revision == before.revision


def test_replaced_files_are_bounded(tmp_path: Path, history: History) -> None:
    before = saved(tmp_path, "server: {port: 1}\n")
    history.keep(before, "save")
    for number in range(MOST_REPLACED + 3):
        saved(tmp_path, f"server: {{port: {number + 2}}}\n")
        restore(history.find(before.revision), tmp_path / "portbroker.yaml", history)
    assert len(list((history.directory / "replaced").iterdir())) == MOST_REPLACED


def test_what_patterns_matched_is_no_file(tmp_path: Path, history: History) -> None:
    history.keep(parts(tmp_path, a="server: {port: 1}\n"), "save", at=time.time())
    (entry,) = history.entries()
    assert sorted(entry.parts) == ["parts/*.yaml" + NAMES, "parts/a.yaml"]
