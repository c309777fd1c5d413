"""Who may ask: admins by key, by a sign-in, or by the file of their own user; nobody else, however it is put."""

import base64
import json
import time
from typing import Any

import jwt
import pytest

from portbroker.admin.failures import ALLOWED, Failures
from portbroker.admin.sessions import Sessions
from tests.admin.calls import SECRET, TOKEN, Admin, Json, Kept

KEYS = "/admin/api-keys"


async def key_of(client: Admin, name: str = "boss", **fields: object) -> Json:
    answered = await client.post(KEYS, {"name": name, "admin": True, **fields})
    assert answered.status == 201
    key: Json = answered.json
    return key


async def signed_in(admin: Admin, key: str) -> str:
    answered = await admin.signed_out().post("/admin/login", {"key": key})
    assert answered.status == 200, answered.raw
    return str(answered.json["token"])


async def test_an_admin_key_signs_in_by_any_of_the_headers(admin: Admin) -> None:
    key = (await key_of(admin))["key"]
    nobody = admin.signed_out()
    assert (await nobody.get(KEYS, authorization=f"Bearer {key}")).status == 200
    assert (await nobody.get(KEYS, x_api_key=key)).status == 200
    assert (await nobody.get(KEYS, api_key=key)).status == 200


async def test_a_key_for_calls_is_no_admins(admin: Admin) -> None:
    key = (await key_of(admin, admin=False))["key"]
    answered = await admin.as_(key).get(KEYS)
    assert (answered.status, answered.error["kind"]) == (403, "permission")
    assert (await admin.signed_out().post("/admin/login", {"key": key})).status == 403


async def test_a_key_that_is_off_or_expired_is_no_sign_in(admin: Admin) -> None:
    off = (await key_of(admin, "off", enabled=False))["key"]
    old = (await key_of(admin, "old", expires_at="2020-01-01T00:00:00Z"))["key"]
    for key in (off, old):
        assert (await admin.as_(key).get(KEYS)).status == 401
        assert (await admin.signed_out().post("/admin/login", {"key": key})).status == 401


async def test_a_key_is_known_by_all_of_its_characters(admin: Admin) -> None:
    key = (await key_of(admin))["key"]
    assert (await admin.as_(key).get(KEYS)).status == 200
    for other in (key[:20], key[:-1], key + "x", key[:20] + "A" * 26, key.upper(), key.lower()):
        if other != key:
            assert (await admin.as_(other).get(KEYS)).status == 401


async def test_a_sign_in_gives_a_token_for_an_hour(admin: Admin) -> None:
    key = (await key_of(admin))["key"]
    answered = await admin.signed_out().post("/admin/login", {"key": key})
    assert (answered.json["token_type"], answered.json["expires_in"]) == ("Bearer", 3600)
    assert key not in base64.b64decode(answered.json["token"].split(".")[1] + "==").decode()
    assert (await admin.as_(answered.json["token"]).get(KEYS)).status == 200


async def test_a_token_makes_no_token(admin: Admin) -> None:
    token = await signed_in(admin, (await key_of(admin))["key"])
    for shown in (token, TOKEN):
        assert (await admin.signed_out().post("/admin/login", {"key": shown})).status == 401


@pytest.mark.parametrize("end", ["revoke", "rotate", "off", "demoted", "deleted"])
async def test_a_sign_in_ends_with_its_key(admin: Admin, end: str) -> None:
    key = await key_of(admin)
    session = admin.as_(await signed_in(admin, key["key"]))
    assert (await session.get(KEYS)).status == 200
    path = f"{KEYS}/{key['id']}"
    ends: dict[str, tuple[str, str, Any]] = {
        "revoke": ("POST", f"{path}/revoke", None), "rotate": ("POST", f"{path}/rotate", {}),
        "off": ("PATCH", path, {"enabled": False}), "demoted": ("PATCH", path, {"admin": False}),
        "deleted": ("DELETE", path, None),
    }  # fmt: skip
    assert (await admin.ask(*ends[end])).status == 200
    assert (await session.get(KEYS)).status == 401


async def test_a_sign_in_outlives_a_rotation_with_overlap(admin: Admin) -> None:
    key = await key_of(admin)
    session = admin.as_(await signed_in(admin, key["key"]))
    await admin.post(f"{KEYS}/{key['id']}/rotate", {"overlap_seconds": 60})
    assert (await session.get(KEYS)).status == 200


async def test_only_our_own_tokens_count(admin: Admin, kept: Kept) -> None:
    token = await signed_in(admin, (await key_of(admin))["key"])
    claims = jwt.decode(token, options={"verify_signature": False})
    key = Sessions(SECRET, kept.store)._key
    now = int(time.time())
    head, body, signature = token.split(".")
    longer = base64.urlsafe_b64encode(json.dumps({**claims, "exp": now + 9999}).encode()).decode().rstrip("=")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()

    def signed(secret: bytes = key, algorithm: str = "HS256", **other: Any) -> str:
        changed = {name: value for name, value in {**claims, **other}.items() if value is not None}
        return jwt.encode(changed, secret, algorithm=algorithm)

    assert (await admin.as_(signed()).get(KEYS)).status == 200
    forged = {
        "no algorithm": f"{none}.{body}.",
        "no algorithm, with a signature": f"{none}.{body}.{signature}",
        "another algorithm": signed(key * 2, algorithm="HS512"),
        "another secret": signed(b"x" * 32),
        "no secret": signed(b"\0" * 32),
        "the secret itself": signed(SECRET),
        "changed": f"{head}.{longer}.{signature}",
        "over": signed(exp=now - 1),
        "not yet": signed(iat=now + 600),
        "for ever": signed(exp=None),
        "of another key": signed(sub="key_other"),
        "of another secret of the key": signed(sec="x" * 24),
        "for others": signed(aud="someone-else"),
        "for anyone": signed(aud=None),
        "by others": signed(iss="someone-else"),
        "cut": token[:-2],
        "no signature": f"{head}.{body}.",
    }
    for why, shown in forged.items():
        answered = await admin.as_(shown).get(KEYS)
        assert answered.status in (401, 429), why
        assert answered.status == 401 or why not in list(forged)[:ALLOWED], why


async def test_whoever_fails_often_waits(admin: Admin) -> None:
    key = (await key_of(admin))["key"]
    for _ in range(ALLOWED):
        assert (await admin.as_("pb-" + "x" * 43).get(KEYS)).status == 401
    for headers in ({}, {"x_forwarded_for": "203.0.113.9"}, {"forwarded": "for=203.0.113.9"}, {"x_real_ip": "::1"}):
        answered = await admin.as_("pb-" + "y" * 43).get(KEYS, **headers)
        assert (answered.status, answered.error["kind"]) == (429, "rate_limit")
    assert int(answered.headers["retry-after"]) >= 1
    assert (await admin.signed_out().post("/admin/login", {"key": key})).status == 429
    assert (await admin.get(KEYS)).status == 200, "the token of one's own user costs nobody anything"


def test_failures_are_forgotten_with_time_and_counted_by_network() -> None:
    clock = [0.0]
    failures = Failures(lambda: clock[0])
    for host in range(ALLOWED):
        failures.add(f"2001:db8::{host}")
    failures.check("2001:db8:0:1::1")
    with pytest.raises(Exception, match="too many"):
        failures.check("2001:db8::ffff")
    clock[0] = 60.0
    failures.check("2001:db8::ffff")


def test_no_more_addresses_are_remembered_than_fit() -> None:
    failures = Failures(lambda: 0.0)
    for number in range(5000):
        failures.add(f"10.0.{number >> 8}.{number & 255}")
    assert len(failures._full_at) == 4096


async def test_a_failed_sign_in_is_in_the_log_without_what_was_shown(
    admin: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    await admin.as_("pb-" + "z" * 43).get(KEYS)
    assert "a sign-in from 127.0.0.1 failed" in caplog.text
    assert "zzzz" not in caplog.text


ELSEWHERE: list[dict[str, str]] = [
    {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"origin": "https://evil.example"},
    {"origin": "null"}, {"origin": "http://127.0.0.1:1"}, {"sec_fetch_site": "cross-site", "origin": "http://127.0.0.1"},
]  # fmt: skip


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
async def test_a_page_from_elsewhere_cannot_have_a_browser_fail_to_sign_in(
    admin: Admin, headers: dict[str, str]
) -> None:
    for _ in range(ALLOWED + 1):
        answered = await admin.signed_out().post("/admin/login", {"key": "pb-x"}, **headers)
        assert (answered.status, answered.error["kind"]) == (403, "permission")
    assert (await admin.post(KEYS, {"name": "x"}, **headers)).status == 403
    assert (await admin.signed_out().post("/admin/login", {"key": "pb-x"})).status == 401


async def test_the_page_of_the_gateway_itself_may_sign_in(admin: Admin) -> None:
    key = (await key_of(admin))["key"]
    own = admin.url
    for headers in ({"sec_fetch_site": "same-origin", "origin": own}, {"origin": own}, {"sec_fetch_site": "none"}):
        assert (await admin.signed_out().post("/admin/login", {"key": key}, **headers)).status == 200
