"""`/admin/config`: what is served is told, a reload says what came of it, a broken file is told with every fault."""

import os
from pathlib import Path

from tests.admin.calls import admin_of_file

FILE = "providers:\n  - {name: P, base_url: 'http://127.0.0.1:9/v1', models: [one]}\n"


def file(directory: Path) -> Path:
    path = directory / "portbroker.yaml"
    path.write_text(FILE)
    return path


async def test_what_is_served_is_told_with_who_serves_it(tmp_path: Path) -> None:
    path = file(tmp_path)
    async with admin_of_file(path) as admin:
        told = (await admin.get("/admin/config")).json
    assert (told["file"], told["in_sync"], told["returned"], told["guarded_until"]) == (str(path), True, None, None)
    assert [(worker["process"], worker["revision"]) for worker in told["workers"]] == [(os.getpid(), told["revision"])]
    assert told["file_revision"] == told["revision"]


async def test_a_reload_answers_with_what_it_changes(tmp_path: Path) -> None:
    path = file(tmp_path)
    async with admin_of_file(path) as admin:
        before = (await admin.get("/admin/config")).json["revision"]
        path.write_text(FILE.replace("one", "two"))
        would = await admin.post("/admin/config/reload?dry_run=1")
        assert (would.status, would.json["served"]) == (200, False)
        assert "two: at P" in would.json["changes"]
        assert would.headers["x-portbroker-revision"] == before
        did = await admin.post("/admin/config/reload")
        assert (did.status, did.json["succeeded"]) == (200, True)
        assert did.json["cause"] == "POST /admin/config/reload by local"
        told = (await admin.get("/admin/config")).json
        assert told["revision"] == did.json["revision"] == would.json["revision"] != before
        again = await admin.post("/admin/config/reload")
        assert (again.json["served"], again.json["changes"]) == (False, [])


async def test_a_file_that_cannot_be_served_is_told_with_every_fault_and_what_was_served_goes_on(
    tmp_path: Path,
) -> None:
    path = file(tmp_path)
    async with admin_of_file(path) as admin:
        before = (await admin.get("/admin/config")).json["revision"]
        path.write_text(FILE + "colour: red\nshade: blue\n")
        for query in ("?dry_run=true", ""):
            answer = await admin.post(f"/admin/config/reload{query}")
            assert answer.status == 422
            assert [(p["line"], p["column"]) for p in answer.error["problems"]] == [(3, 1), (4, 1)]
            assert answer.error["message"].startswith(f"the file cannot be served: {path}:3:1: colour: ")
        told = (await admin.get("/admin/config")).json
        assert (told["revision"], told["in_sync"], told["last_reload"]["succeeded"]) == (before, False, False)
        assert told["file_revision"] not in (None, before)
        assert [p["line"] for p in told["last_reload"]["problems"]] == [3, 4]


async def test_a_file_that_is_gone_has_no_revision(tmp_path: Path) -> None:
    path = file(tmp_path)
    async with admin_of_file(path) as admin:
        path.unlink()
        assert (await admin.post("/admin/config/reload")).status == 422
        told = (await admin.get("/admin/config")).json
        assert (told["file_revision"], told["in_sync"]) == (None, False)


async def test_fields_that_ask_for_a_restart_are_named(tmp_path: Path) -> None:
    path = file(tmp_path)
    async with admin_of_file(path) as admin:
        path.write_text(FILE + "server: {port: 9999}\n")
        assert (await admin.post("/admin/config/reload")).json["restart"] == ["server.port"]


async def test_nobody_learns_or_does_anything_without_a_sign_in(tmp_path: Path) -> None:
    async with admin_of_file(file(tmp_path)) as admin:
        nobody = admin.signed_out()
        assert (await nobody.get("/admin/config")).status == 401
        assert (await nobody.post("/admin/config/reload")).status == 401
        assert (await admin.get("/admin/config/reload")).status == 405
        assert (await admin.post("/admin/config/reload?dry_run=maybe")).status == 422
        assert (await admin.post("/admin/config/reload?force=1")).status == 422
