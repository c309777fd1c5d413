"""The life of an admin call, whatever it asks: matched as it stands, signed in first, refused in one form."""

import pytest

from tests.admin.calls import TOKEN, admin_of


async def test_an_admin_call_needs_a_sign_in() -> None:
    async with admin_of() as admin:
        answered = await admin.signed_out().get("/admin/openapi.json")
        assert answered.status == 401
        assert answered.headers["www-authenticate"].startswith("Bearer")
        assert answered.error["kind"] == "auth"
        assert answered.error["request_id"] == answered.headers["x-request-id"]
        assert (await admin.get("/admin/openapi.json")).status == 200


@pytest.mark.parametrize("wrong", ["x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "Bearer " + TOKEN, "é", "pb-none"])
async def test_a_wrong_credential_is_no_sign_in(wrong: str) -> None:
    async with admin_of() as admin:
        assert (await admin.get("/admin/openapi.json", authorization=f"Bearer {wrong}")).status == 401


async def test_a_server_without_a_token_takes_no_empty_one() -> None:
    async with admin_of(token="") as admin:
        for header in ("Bearer ", "Bearer", ""):
            assert (await admin.get("/admin/openapi.json", authorization=header)).status == 401


async def test_what_is_not_served_is_only_told_to_who_signs_in() -> None:
    async with admin_of() as admin:
        assert (await admin.signed_out().get("/admin/nowhere")).status == 401
        answered = await admin.get("/admin/nowhere")
        assert (answered.status, answered.error["kind"]) == (404, "not_found")


async def test_another_method_is_refused_with_those_that_are_possible() -> None:
    async with admin_of() as admin:
        answered = await admin.ask("DELETE", "/admin/openapi.json")
        assert (answered.status, answered.headers["allow"]) == (405, "GET")


SPELLINGS = [
    "//admin/openapi.json", "/admin//openapi.json", "/admin/openapi.json/", "/Admin/openapi.json", "/admin/../admin",
    "/admin/%6fpenapi.json", "/%61dmin/openapi.json", "/admin/openapi%2ejson", "/admin/./openapi.json",
    "/admin;x/openapi.json", "/admin/openapi.json%00", "/admin\\openapi.json",
]  # fmt: skip


@pytest.mark.parametrize("path", SPELLINGS)
async def test_another_spelling_of_a_path_leads_nowhere(path: str) -> None:
    async with admin_of() as admin:
        assert (await admin.get(path)).status == 404
        assert (await admin.signed_out().get(path)).status in (401, 404)


async def test_an_answer_is_stored_nowhere_and_says_what_is_served() -> None:
    async with admin_of() as admin:
        answered = await admin.get("/admin/openapi.json")
        assert answered.headers["cache-control"] == "no-store"
        assert answered.headers["x-content-type-options"] == "nosniff"
        assert len(answered.headers["x-portbroker-revision"]) == 12


async def test_a_query_that_is_not_known_is_refused() -> None:
    async with admin_of() as admin:
        answered = await admin.get("/admin/openapi.json?x=1")
        assert (answered.status, answered.error["param"]) == (422, "x")
        assert (await admin.get("/admin/openapi.json?%ff=1")).status == 400


async def test_a_body_where_none_belongs_or_of_any_size_is_refused() -> None:
    async with admin_of() as admin:
        assert (await admin.ask("GET", "/admin/openapi.json", {"x": 1})).status == 422
        assert (await admin.ask("GET", "/admin/openapi.json", b"x" * 300_000)).status == 413


async def test_the_description_has_every_endpoint_and_only_open_ones_without_sign_in() -> None:
    async with admin_of() as admin:
        described = (await admin.get("/admin/openapi.json")).json
        assert described["openapi"].startswith("3.1")
        assert "/admin/openapi.json" in described["paths"]
        assert described["security"] == [{"admin": []}]
