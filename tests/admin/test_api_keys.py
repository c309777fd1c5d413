"""Keys are made, changed, rotated, revoked and deleted; a secret is shown once; nobody sets what is not theirs."""

import asyncio
import re

import pytest

from tests.admin.calls import Admin, Json, Kept

KEYS = "/admin/api-keys"


async def made(admin: Admin, /, **fields: object) -> Json:
    answered = await admin.post(KEYS, {"name": "team-a", **fields})
    assert answered.status == 201, answered.raw
    key: Json = answered.json
    return key


async def test_a_key_is_made_and_shown_once(admin: Admin, kept: Kept) -> None:
    answered = await admin.post(KEYS, {"name": "team-a"})
    key = answered.json
    assert re.fullmatch(r"pb-[0-9A-Za-z]{43}", key["key"])
    assert answered.headers["location"] == f"{KEYS}/{key['id']}"
    assert key["prefix"] == key["key"][:7] + "…"
    for path in (KEYS, f"{KEYS}/{key['id']}", "/admin/audit"):
        assert key["key"].encode() not in (await admin.get(path)).raw
    stored = await kept.store.key(key["id"])
    assert stored is not None
    assert key["key"].encode() not in repr(stored).encode()
    assert (await kept.keyring.caller(key["key"])).id == key["id"]


async def test_a_key_keeps_all_that_was_asked_for(admin: Admin) -> None:
    asked = {
        "description": "for the nightly build",
        "metadata": {"team": "a"},
        "tags": ["ci", "night"],
        "expires_at": "2030-01-01T00:00:00Z",
        "scopes": {"routes": ["/v1/messages"], "models": ["claude-*"], "providers": None},
        "limits": {"requests_per_minute": 60, "tokens_per_minute": 1000, "concurrent": 2},
        "budget": {"amount": 12.5, "period": "month", "time_zone": "Europe/Berlin"},
    }
    key = await made(admin, **asked)
    shown = (await admin.get(f"{KEYS}/{key['id']}")).json
    assert {name: shown[name] for name in asked} == asked
    assert shown["spending"] == {"period": shown["spending"]["period"], "spent": 0.0, "reserved": 0.0}
    assert (shown["admin"], shown["enabled"], shown["version"]) == (False, True, 1)


FORBIDDEN = ["id", "hash", "prefix", "created_at", "revoked_at", "version", "previous_hash", "spending", "key", "role"]


@pytest.mark.parametrize("field", FORBIDDEN)
async def test_nobody_sets_what_is_not_a_clients_to_set(admin: Admin, field: str) -> None:
    key = await made(admin)
    for method, path in (("POST", KEYS), ("PUT", f"{KEYS}/{key['id']}"), ("PATCH", f"{KEYS}/{key['id']}")):
        answered = await admin.ask(method, path, {"name": "other", field: "x"})
        assert (answered.status, answered.error["param"]) == (422, field)
    assert (await admin.get(f"{KEYS}/{key['id']}")).json["version"] == 1


WRONG = [
    ({}, "name"), ({"name": ""}, "name"), ({"name": 7}, "name"), ({"name": "x" * 101}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "a", "admin": "yes"}, "admin"), ({"name": "a", "admin": 1}, "admin"),
    ({"name": "a", "limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
    ({"name": "a", "limits": {"requests_per_minute": 1.5}}, "limits.requests_per_minute"),
    ({"name": "a", "limits": {"rpm": 1}}, "limits.rpm"),
    ({"name": "a", "budget": {"amount": -1, "period": "day"}}, "budget.amount"),
    ({"name": "a", "budget": {"amount": 1, "period": "year"}}, "budget.period"),
    ({"name": "a", "budget": {"amount": 1, "period": "day", "time_zone": "../../etc/passwd"}}, "budget.time_zone"),
    ({"name": "a", "budget": {"amount": 1, "period": "day", "time_zone": "Mars/Base"}}, "budget.time_zone"),
    ({"name": "a", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
    ({"name": "a", "expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at"),
    ({"name": "a", "scopes": {"models": "claude-*"}}, "scopes.models"),
    ({"name": "a", "tags": ["x"] * 21}, "tags"), ({"name": "a", "metadata": {"a": 1}}, "metadata.a"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "param"), WRONG, ids=str)
async def test_a_wrong_field_is_named(admin: Admin, body: Json, param: str) -> None:
    answered = await admin.post(KEYS, body)
    assert (answered.status, answered.error["param"]) == (422, param), answered.raw
    assert (await admin.get(KEYS)).json["data"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff", b"[" * 5000, b'{"name": NaN}'])
async def test_what_is_no_form_is_refused(admin: Admin, body: bytes) -> None:
    assert (await admin.post(KEYS, body)).status in (400, 422)


async def test_all_that_is_wrong_is_said_at_once_and_without_the_values(admin: Admin) -> None:
    answered = await admin.post(KEYS, {"name": 7, "admin": "pb-" + "s" * 43, "nothing": 1})
    assert {problem["param"] for problem in answered.error["problems"]} == {"name", "admin", "nothing"}
    assert b"sssss" not in answered.raw


async def test_two_keys_of_one_name_are_refused(admin: Admin) -> None:
    await made(admin)
    answered = await admin.post(KEYS, {"name": "team-a"})
    assert (answered.status, answered.error["param"]) == (409, "name")


async def test_put_writes_all_and_patch_what_is_named(admin: Admin) -> None:
    key = await made(admin, tags=["a"], limits={"requests_per_minute": 5, "concurrent": 1}, description="x")
    path = f"{KEYS}/{key['id']}"
    patched = (await admin.ask("PATCH", path, {"limits": {"requests_per_minute": 9}})).json
    assert patched["limits"] == {"requests_per_minute": 9, "tokens_per_minute": None, "concurrent": 1}
    assert (patched["tags"], patched["description"], patched["name"]) == (["a"], "x", "team-a")
    put = (await admin.ask("PUT", path, {"name": "team-b"})).json
    assert put["limits"] == {"requests_per_minute": None, "tokens_per_minute": None, "concurrent": None}
    assert (put["tags"], put["description"], put["name"], put["version"]) == ([], "", "team-b", 3)


async def test_a_change_of_a_version_that_is_gone_is_refused(admin: Admin) -> None:
    key = await made(admin)
    path = f"{KEYS}/{key['id']}"
    seen = (await admin.get(path)).headers["etag"]
    assert (await admin.ask("PATCH", path, {"description": "1"}, if_match=seen)).status == 200
    answered = await admin.ask("PATCH", path, {"description": "2"}, if_match=seen)
    assert (answered.status, answered.error["kind"]) == (412, "stale")
    assert (await admin.get(path)).json["description"] == "1"


async def test_changes_at_once_lose_none(admin: Admin) -> None:
    key = await made(admin)
    path = f"{KEYS}/{key['id']}"
    answers = await asyncio.gather(*(admin.ask("PATCH", path, {"tags": [f"t{n}"]}) for n in range(8)))
    done = [answer for answer in answers if answer.status == 200]
    assert {answer.status for answer in answers} <= {200, 412}
    assert (await admin.get(path)).json["version"] == 1 + len(done)


async def test_a_rotated_key_keeps_its_old_secret_for_the_overlap(admin: Admin, kept: Kept) -> None:
    key = await made(admin)
    rotated = (await admin.post(f"{KEYS}/{key['id']}/rotate", {"overlap_seconds": 3600})).json
    assert rotated["key"] != key["key"]
    assert rotated["previous_until"]
    kept.keyring.heard(-1)
    for secret in (key["key"], rotated["key"]):
        assert (await kept.keyring.caller(secret)).id == key["id"]


async def test_a_key_that_is_rotated_without_overlap_has_one_secret(admin: Admin, kept: Kept) -> None:
    key = await made(admin, admin=True)
    await admin.post(f"{KEYS}/{key['id']}/rotate", {})
    assert (await admin.as_(key["key"]).get(KEYS)).status == 401


async def test_a_revoked_key_stays_revoked(admin: Admin) -> None:
    key = await made(admin, admin=True)
    path = f"{KEYS}/{key['id']}"
    revoked = (await admin.post(f"{path}/revoke")).json
    assert revoked["revoked_at"]
    assert (await admin.as_(key["key"]).get(KEYS)).status == 401
    assert (await admin.post(f"{path}/revoke")).json["revoked_at"] == revoked["revoked_at"]
    assert (await admin.post(f"{path}/rotate", {})).status == 409
    await admin.ask("PUT", path, {"name": "team-a", "admin": True})
    assert (await admin.get(path)).json["revoked_at"] == revoked["revoked_at"]


async def test_a_deleted_key_is_gone(admin: Admin) -> None:
    key = await made(admin)
    path = f"{KEYS}/{key['id']}"
    assert (await admin.ask("DELETE", path)).json == {"id": key["id"], "deleted": True}
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"name": "x"}), ("PATCH", {})):
        assert (await admin.ask(method, path, body)).status == 404


async def test_keys_come_in_pages(admin: Admin) -> None:
    names = {f"key {number}" for number in range(5)}
    for name in names:
        await made(admin, name=name)
    seen: list[str] = []
    after = ""
    while True:
        page = (await admin.get(f"{KEYS}?limit=2{after}")).json
        assert len(page["data"]) <= 2
        seen += [key["name"] for key in page["data"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert sorted(seen) == sorted(names)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1e3", "", "99999999999999999999999999"])
async def test_a_page_has_bounds(admin: Admin, limit: str) -> None:
    assert (await admin.get(f"{KEYS}?limit={limit}")).status == 422


async def test_a_search_means_its_signs_as_they_stand(admin: Admin) -> None:
    for name in ("100% sure", "under_score", "plain", "back\\slash"):
        await made(admin, name=name)
    for search, found in (("%25", ["100% sure"]), ("_", ["under_score"]), ("LAI", ["plain"]), ("%5C", ["back\\slash"])):
        page = (await admin.get(f"{KEYS}?search={search}")).json
        assert [key["name"] for key in page["data"]] == found


HOSTILE = ["' OR '1'='1", "x'; DROP TABLE api_keys; --", "key_%", '"', "\\", "😀", "..", "%00", "a b"]


@pytest.mark.parametrize("id", HOSTILE)
async def test_an_id_is_never_a_part_of_a_statement(admin: Admin, id: str) -> None:
    from urllib.parse import quote

    await made(admin)
    path = f"{KEYS}/{quote(id, safe='')}"
    for method, where, body in (("GET", path, None), ("DELETE", path, None), ("PATCH", path, {}),
                                ("POST", f"{path}/revoke", None), ("POST", f"{path}/rotate", {})):  # fmt: skip
        assert (await admin.ask(method, where, body)).status == 404
    assert len((await admin.get(KEYS)).json["data"]) == 1


async def test_every_change_is_in_the_log_with_who_made_it(admin: Admin) -> None:
    key = await made(admin)
    path = f"{KEYS}/{key['id']}"
    await admin.ask("PATCH", path, {"description": "x", "enabled": False})
    await admin.post(f"{path}/rotate", {"overlap_seconds": 5})
    await admin.post(f"{path}/revoke")
    await admin.ask("DELETE", path)
    log = (await admin.get("/admin/audit")).json["data"]
    assert [entry["action"] for entry in log] == [
        "key.deleted", "key.revoked", "key.rotated", "key.changed", "key.created"
    ]  # fmt: skip
    assert {(entry["actor"], entry["subject"], entry["address"]) for entry in log} == {
        ("local", key["id"], "127.0.0.1")
    }
    assert log[3]["details"] == {"name": "team-a", "fields": ["description", "enabled"]}
    page = (await admin.get("/admin/audit?limit=2")).json
    rest = (await admin.get(f"/admin/audit?after={page['next']}")).json
    assert [entry["id"] for entry in page["data"] + rest["data"]] == [entry["id"] for entry in log]
