"""What an attacker tries: each known way in, and each that was found open elsewhere, is shut."""

import asyncio
import json
import re
import tomllib
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.admin.calls import Admin, admin_of, admin_of_file, kept_in
from tests.providers import Json, answers, anthropic_answer, chat_answer, serving
from tests.stateful import config, keyed

ROOT = Path(__file__).parent.parent
KEYS = "auth: {calls: key}\n"
ADMIN = "/admin/api-keys"


# S5: the admin API, endpoint by endpoint


async def endpoints_of(admin: Admin) -> list[tuple[str, str]]:
    """All that the description has, with something in every place holder."""
    paths = (await admin.get("/admin/openapi.json")).json["paths"]
    return [
        (method.upper(), re.sub(r"\{\w+\}", "key_x", path))
        for path, methods in paths.items()
        for method, row in methods.items()
        if row.get("security") != []
    ]


async def test_no_endpoint_is_open_but_those_that_say_so(tmp_path: Path) -> None:
    file = tmp_path / "portbroker.yaml"
    file.write_text("providers: []\n")
    async with kept_in(tmp_path) as kept, admin_of_file(file, kept=kept) as admin:
        made = (await admin.post(ADMIN, {"name": "for calls"})).json
        endpoints = await endpoints_of(admin)
        assert len(endpoints) >= 20
        for method, path in endpoints:
            body: Json | None = {} if method in ("POST", "PUT", "PATCH") else None
            assert (await admin.signed_out().ask(method, path, body)).status == 401, (method, path)
            assert (await admin.as_(made["key"]).ask(method, path, body)).status == 403, (method, path)
        for method, path in endpoints[:5]:
            assert (await admin.as_("wrong").ask(method, path)).status == 401, (method, path)
        assert len((await admin.get(ADMIN)).json["data"]) == 1


async def test_a_wrong_method_tells_nothing_to_who_is_not_signed_in(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept, admin_of(kept=kept) as admin:
        for method in ("OPTIONS", "HEAD", "TRACE", "PROPFIND", "PATCH"):
            answered = await admin.signed_out().ask(method, ADMIN)
            assert answered.status == 401
            assert "access-control-allow-origin" not in answered.headers
            answered = await admin.ask(method, ADMIN)
            assert (answered.status, answered.headers["allow"]) == (405, "GET, POST")


# CVE-2026-42208: an injection in the way that an unknown key takes


INJECTIONS = [
    "pb-' OR '1'='1", "pb-x'; DROP TABLE keys; --", 'pb-"||(SELECT hash FROM keys)||"', "pb-\\' OR 1=1 --", "pb-%' --",
    "pb-x' UNION SELECT 1,2,3 --", "pb-" + "'" * 4000, "pb-é", "pb-{{7*7}}", "pb-%00", "pb-$(id)", "pb-`id`",
]  # fmt: skip


@pytest.mark.parametrize("shown", INJECTIONS, ids=range(len(INJECTIONS)))
async def test_what_is_shown_as_a_key_is_never_a_part_of_a_statement(tmp_path: Path, shown: str) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url, extra=KEYS), tmp_path) as gate:
        _, good = await gate.new_key()
        for path in ("/v1/messages", "/v1/chat/completions"):
            answered = await gate.call(path=path, authorization=f"Bearer {shown}")
            assert answered.status in (400, 401)
            assert b"SELECT" not in answered.raw
            assert b"sqlite" not in answered.raw.lower()
        assert (await gate.ask("GET", ADMIN, x_api_key=shown)).status in (400, 401)
        assert (await gate.call(good)).status == 200


# CVE-2026-47101, CVE-2026-47102: a caller gives itself routes, or a role


async def test_nobody_gives_themselves_more_than_their_key(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url, extra=KEYS), tmp_path) as gate:
        key, secret = await gate.new_key()
        claims: Json = {"allowed_routes": ["/*"], "user_role": "proxy_admin", "admin": True, "role": "admin",
                        "scopes": {"routes": None}, "metadata": {"admin": True, "routes": ["/admin"]}}  # fmt: skip
        body = {"model": "small", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **claims}
        await gate.call(secret, "/v1/messages", body, x_portbroker_admin="true", x_role="admin", x_key_id="key_other")
        assert (await gate.ask("GET", ADMIN, x_api_key=secret, x_portbroker_admin="true")).status == 403
        assert await gate.state.store.key(key.id) == key


# S9, CVE-2026-35030: a cache that knows a credential by its beginning; S8: by its spelling


async def test_a_key_that_begins_or_is_spelled_like_a_good_one_is_none(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url, extra=KEYS), tmp_path) as gate:
        _, good = await gate.new_key()
        assert (await gate.call(good)).status == 200
        others = {good[:20] + "0" * 26, good[:-1] + ("a" if good[-1] != "a" else "b"), good + "x", good.swapcase(),
                  good.upper(), "PB-" + good[3:], f"{good},{good}", f"{good} x"} - {good}  # fmt: skip
        for other in others:
            assert (await gate.call(other)).status == 401, other
        assert (await gate.call(good)).status == 200


# CVE-2026-48710: the Host that a client sends, or the form of its target, leads elsewhere than sign-in looked


HEADS = [
    b"GET http://127.0.0.1/admin/api-keys HTTP/1.1\r\nhost: 127.0.0.1",
    b"GET /admin/api-keys HTTP/1.1\r\nhost: 127.0.0.1/health?",
    b"GET /admin/api-keys HTTP/1.1\r\nhost: localhost/v1/models#",
    b"GET /health HTTP/1.1\r\nhost: 127.0.0.1/admin/api-keys",
    b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx-original-url: /admin/api-keys\r\nx-rewrite-url: /admin/api-keys",
    b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx-forwarded-prefix: /admin\r\nx-forwarded-uri: /admin/api-keys",
    b"GET /health#/admin/api-keys HTTP/1.1\r\nhost: 127.0.0.1",
    b"GET ../admin/api-keys HTTP/1.1\r\nhost: 127.0.0.1",
    b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx-http-method-override: DELETE\r\nx-method-override: PUT",
]


@pytest.mark.parametrize("head", HEADS, ids=range(len(HEADS)))
async def test_no_header_and_no_form_of_a_target_leads_past_the_sign_in(tmp_path: Path, head: bytes) -> None:
    async with serving(answers(chat_answer())) as provider, keyed(config(provider.url), tmp_path) as gate:
        await gate.new_key("somebody")
        parts = urlsplit(gate.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(head + b"\r\nconnection: close\r\n\r\n")
        answered = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert b"somebody" not in answered
        assert b'"data"' not in answered


# CVE-2025-66405: a header of the client picks the host that is called; one-api: an image of the client is fetched


async def test_nothing_that_a_client_sends_picks_the_host_that_is_called(tmp_path: Path) -> None:
    async with serving(answers(chat_answer())) as provider, serving(answers(chat_answer())) as elsewhere:
        async with keyed(config(provider.url), tmp_path) as gate:
            host = elsewhere.url.removeprefix("http://")
            names = ("x_portkey_custom_host", "x_portkey_config", "x_portkey_provider", "x_upstream", "x_base_url",
                     "x_target_url", "x_original_host", "helicone_target_url", "forwarded")  # fmt: skip
            headers = dict.fromkeys(names, elsewhere.url) | {"x_forwarded_host": host}
            body = {"model": "small", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
                    "base_url": elsewhere.url, "api_base": elsewhere.url, "custom_host": elsewhere.url}  # fmt: skip
            for path in ("/v1/messages", "/v1/chat/completions"):
                assert (await gate.call(path=path, body=body, **headers)).status == 200
        assert len(provider.seen) == 2
        assert elsewhere.seen == []


async def test_no_url_of_a_client_is_fetched(tmp_path: Path) -> None:
    async with serving(answers(anthropic_answer())) as provider, serving(answers({})) as elsewhere:
        text = config(provider.url).replace("provider_type: custom", "provider_type: anthropic")
        async with keyed(text, tmp_path) as gate:
            image = {"type": "image_url", "image_url": {"url": f"{elsewhere.url}/secret.png"}}
            file = {"type": "file", "file": {"file_data": f"{elsewhere.url}/secret.pdf"}}
            for part in (image, file):
                body = {"model": "small", "max_tokens": 9, "messages": [{"role": "user", "content": [part]}]}
                await gate.call(path="/v1/chat/completions", body=body)
        assert elsewhere.seen == []


# S7: pages and searches


@pytest.mark.parametrize("search", ["%", "_", "%%", "\\", "'", '"', "\\%", "[a-z]", "*"])
async def test_a_search_finds_no_more_than_it_says(tmp_path: Path, search: str) -> None:
    async with kept_in(tmp_path) as kept, admin_of(kept=kept) as admin:
        for name in ("alpha", "beta"):
            await admin.post(ADMIN, {"name": name})
        assert (await admin.get(f"{ADMIN}?search={quote(search)}")).json["data"] == []


# S13: what is installed is what was looked at


def test_every_package_is_pinned_by_its_hash() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    for package in lock["package"]:
        if "registry" not in package["source"]:
            assert package["name"] == "portbroker"
            continue
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        assert all(file["hash"].startswith("sha256:") for file in files), package["name"]


async def test_what_is_said_to_be_json_is_json_whatever_is_asked(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept, admin_of(kept=kept) as admin:
        for path in ("/admin/<script>", "/admin/api-keys/%3Cscript%3E", "/admin/api-keys?x=<script>"):
            answered = await admin.get(path)
            assert answered.headers["content-type"] == "application/json"
            assert json.loads(answered.raw)["error"]["message"]
