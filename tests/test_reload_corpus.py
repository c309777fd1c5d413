"""No broken file affects a running server: each of the corpus is saved under one, and every call goes on as before."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from portbroker.config.load import load
from tests.config.test_load import ENVIRON
from tests.reloads import marked
from tests.test_reload import file_of, following

HERE = Path(__file__).parent
BROKEN = [*sorted((HERE / "config" / "bad").glob("*.yaml")), *sorted((HERE / "compile" / "bad").glob("*.yaml"))]
OTHERS: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b"  \n\n",
    "comments": b"# nothing\n",
    "zeros": b"\0" * 4096,
    "UTF-16": "providers: []\n".encode("utf-16"),
    "latin": "providers: []  # caf\u00e9\n".encode("latin-1"),
    "brackets": b"[" * 60_000,
    "too long": b"# " + b"x" * (5 * 1024 * 1024),
    "half": b"providers:\n  - {name: P, base_u",
    "circle": b"include: [portbroker.yaml]\n",
    "outside": b"include: [../../../../../../etc/passwd]\n",
    "absolute": b"include: [/etc/passwd]\n",
    "missing part": b"include: [none.yaml]\n",
}


def test_the_corpus_is_large() -> None:
    assert len(BROKEN) + len(OTHERS) >= 100


async def test_no_broken_file_affects_a_running_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    texts = {path.stem: path.read_bytes() for path in BROKEN} | OTHERS
    for path in (HERE / "config" / "bad").iterdir():
        if path.suffix != ".yaml" and path.is_file():  # what they name
            (tmp_path / path.name).write_bytes(path.read_bytes())
    async with file_of(tmp_path) as (path, provider), following(path, watch=False) as served:
        before = served.listening.gateway.snapshot
        for number, (name, text) in enumerate(texts.items()):
            path.write_bytes(text)
            last = await served.reloader.reload("save")
            assert not last.succeeded, name
            assert last.problems, name
            assert not any("the reload failed" in problem.message for problem in last.problems), name
            assert served.listening.gateway.snapshot is before, name
            if number % 10:
                continue
            response, _ = await served.ask()
            assert (response.status, response.headers["x-portbroker-revision"]) == (200, before.revision), name
        assert await served.save(marked(provider.url, 2))
        assert served.revision == load(path).revision


async def test_what_is_no_file_affects_a_running_server_as_little(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (path, _), following(path, watch=False) as served:
        before = served.listening.gateway.snapshot
        makes: list[Callable[[], object]] = [path.mkdir, partial(os.mkfifo, path)]
        makes += [partial(path.symlink_to, end) for end in ("nowhere", path.name, "/dev/zero")]
        for make in makes:
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
            make()
            last = await served.reloader.reload("save")
            assert (last.succeeded, bool(last.problems)) == (False, True)
            assert served.listening.gateway.snapshot is before
            assert (await served.ask())[0].status == 200
