"""Providers are changed in the file itself: proved first, written whole, served at once, and no secret comes out."""

import asyncio
import json
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portbroker.config.load import load
from tests.admin.calls import Admin, Json, Kept, admin_of_file
from tests.providers import answers, chat_answer, serving

PROVIDERS = "/admin/providers"
KEY = "sk-a-secret-that-nobody-may-see"
FILE = f"""\
# ours
providers:
  # the first
  - name: OpenAI # main
    provider_type: openai
    api_key: {KEY}
    small_model: gpt-5-mini
    priority: 1

  - name: Local
    base_url: http://127.0.0.1:9/v1
    api_key: "{{{{ secret.local }}}}"
    headers: {{x-title: ours, x-auth: hush-hush}}

# rules
models:
  - {{match: fast, targets: [{{provider: OpenAI, model: gpt-5-mini}}]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway" / "portbroker.yaml"
    path.parent.mkdir()
    path.write_text(FILE)
    path.chmod(0o640)
    secrets = path.parent / "secrets.yaml"
    secrets.write_text("local: local-secret-value\n")
    secrets.chmod(0o600)
    return path


@pytest.fixture
async def providers(file: Path, kept: Kept) -> AsyncIterator[Admin]:
    async with admin_of_file(file, kept=kept) as admin:
        yield admin


def named(data: list[Json], name: str) -> Json:
    return next(one for one in data if one["name"] == name)


def applied(patch: str, directory: Path) -> None:
    """Apply it as whoever commits it would."""
    subprocess.run(["git", "apply", "-"], input=patch, text=True, cwd=directory, check=True, timeout=20)


def key_in(file: Path, name: str) -> str:
    """The credential that the file comes to."""
    provider = next(one for one in load(file, environ={}).config.providers if one.name == name)
    assert provider.api_key
    return provider.api_key.get_secret_value()


async def test_providers_are_told_as_the_file_has_them_and_without_a_secret(providers: Admin) -> None:
    answered = await providers.get(PROVIDERS)
    openai, local = answered.json["data"]
    assert (openai["name"], openai["api_key"], openai["small_model"]) == ("OpenAI", "[hidden]", "gpt-5-mini")
    assert (openai["priority"], openai["is_active"], openai["active"]) == (1, True, True)
    assert (local["api_key"], local["base_url"]) == ("{{ secret.local }}", "http://127.0.0.1:9/v1")
    assert local["headers"] == {"x-title": "[hidden]", "x-auth": "[hidden]"}
    assert answered.headers["etag"] == f'"{answered.json["revision"]}"'
    for secret in (KEY, "local-secret-value", "hush-hush"):
        assert secret.encode() not in answered.raw
    assert (await providers.get(f"{PROVIDERS}/Local")).json == local


async def test_a_change_is_in_the_file_and_in_force(providers: Admin, file: Path) -> None:
    before = (await providers.get(PROVIDERS)).json["revision"]
    answered = await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"small_model": "gpt-6-nano", "priority": 5})
    assert answered.status == 200, answered.raw
    assert (answered.json["small_model"], answered.json["priority"]) == ("gpt-6-nano", 5)
    expected = FILE.replace("small_model: gpt-5-mini", "small_model: gpt-6-nano").replace("priority: 1", "priority: 5")
    assert file.read_text() == expected
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    revision = answered.headers["etag"].strip('"')
    assert revision != before
    assert answered.headers["x-portbroker-revision"] == revision


async def test_a_provider_is_switched_off_and_on(providers: Admin, file: Path) -> None:
    off = (await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"is_active": False})).json
    assert (off["is_active"], off["active"], off["reason"]) == (False, False, "is_active is false")
    on = (await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"is_active": None})).json
    assert (on["is_active"], on["active"]) == (True, True)
    assert file.read_text() == FILE


async def test_a_posted_secret_goes_to_the_private_file_and_its_reference_into_the_other(
    providers: Admin, file: Path
) -> None:
    body = {
        "name": "Groq One", "provider_type": "groq", "api_key": "gsk-posted-secret", "is_active": True,
        "headers": {"x-title": "plain", "x-api-token": "token-posted-secret"}, "timeout": {"connect": "5s", "idle": 60},
    }  # fmt: skip
    answered = await providers.post(PROVIDERS, body)
    assert answered.status == 201, answered.raw
    assert answered.headers["location"] == f"{PROVIDERS}/Groq%20One"
    assert b"posted-secret" not in answered.raw
    text = file.read_text()
    assert text.startswith(FILE.partition("# rules")[0].rstrip("\n"))
    assert "posted-secret" not in text
    assert "x-title: plain" in text
    secrets = file.parent / ".portbroker" / "secrets.yaml"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert key_in(file, "Groq One") == "gsk-posted-secret"
    assert load(file, environ={}).config.providers[2].headers["x-api-token"] == "token-posted-secret"
    shown = (await providers.get(f"{PROVIDERS}/Groq%20One")).json
    assert shown["api_key"].startswith("{{ secret.groq_one_api_key_")
    assert shown["timeout"] == {"connect": "5s", "idle": 60}


async def test_a_replaced_secret_gets_another_name_so_that_the_revision_before_works_on(
    providers: Admin, file: Path
) -> None:
    await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"api_key": "sk-second"})
    second = file.read_text()
    await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"api_key": "sk-third"})
    assert key_in(file, "OpenAI") == "sk-third"
    file.write_text(second)
    assert key_in(file, "OpenAI") == "sk-second"


async def test_what_was_told_can_be_sent_back_as_it_is(providers: Admin, file: Path) -> None:
    for name in ("OpenAI", "Local"):
        shown = (await providers.get(f"{PROVIDERS}/{name}")).json
        body = {field: value for field, value in shown.items() if field not in ("active", "reason")}
        assert (await providers.ask("PUT", f"{PROVIDERS}/{name}", body)).status == 200
    after = load(file, environ={}).config.providers
    assert [one.api_key.get_secret_value() for one in after if one.api_key] == [KEY, "local-secret-value"]
    assert after[1].headers == {"x-title": "ours", "x-auth": "hush-hush"}


async def test_put_takes_out_what_is_not_there_and_leaves_what_is_not_its_own(providers: Admin, file: Path) -> None:
    file.write_text(FILE.replace("    priority: 1\n", "    priority: 1\n    models: [gpt-5*]\n"))
    body = {"name": "OpenAI", "provider_type": "openai", "api_key": "[hidden]"}
    assert (await providers.ask("PUT", f"{PROVIDERS}/OpenAI", body)).status == 200
    text = file.read_text()
    assert "small_model" not in text
    assert "priority" not in text
    assert "models: [gpt-5*]" in text


async def test_a_provider_goes(providers: Admin, file: Path) -> None:
    assert (await providers.ask("DELETE", f"{PROVIDERS}/Local")).json == {"name": "Local", "deleted": True}
    assert "Local" not in file.read_text()
    assert "# rules" in file.read_text()
    assert (await providers.get(f"{PROVIDERS}/Local")).status == 404


async def test_a_change_that_would_break_the_file_is_refused_with_all_that_is_wrong(
    providers: Admin, file: Path
) -> None:
    answered = await providers.ask("DELETE", f"{PROVIDERS}/OpenAI")
    assert answered.status == 422
    problem = answered.error["problems"][0]
    assert problem["file"].endswith("portbroker.yaml")
    assert "no provider is called 'OpenAI'" in problem["message"]
    assert problem["line"] > 0
    assert (await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"name": "Other"})).status == 422
    assert (await providers.ask("PATCH", f"{PROVIDERS}/Local", {"name": "OpenAI"})).status == 422
    assert (await providers.post(PROVIDERS, {"name": "Nowhere"})).status == 422
    assert file.read_text() == FILE


async def test_a_change_of_a_revision_that_is_gone_is_refused(providers: Admin, file: Path) -> None:
    seen = (await providers.get(PROVIDERS)).headers["etag"]
    file.write_text(FILE + "# edited by hand\n")
    for method, path, body in (
        ("PATCH", f"{PROVIDERS}/OpenAI", {"priority": 9}), ("DELETE", f"{PROVIDERS}/Local", None),
        ("POST", PROVIDERS, {"name": "New", "base_url": "http://127.0.0.1:9"}),
    ):  # fmt: skip
        answered = await providers.ask(method, path, body, if_match=seen)
        assert (answered.status, answered.error["kind"]) == (412, "stale")
        assert answered.error["revision"] == load(file, environ={}).revision
    assert file.read_text() == FILE + "# edited by hand\n"
    fresh = (await providers.get(PROVIDERS)).headers["etag"]
    assert (await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"priority": 9}, if_match=fresh)).status == 200


async def test_of_changes_of_one_revision_at_once_one_is_made(providers: Admin) -> None:
    seen = (await providers.get(PROVIDERS)).headers["etag"]
    answered = await asyncio.gather(
        *(providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"priority": n}, if_match=seen) for n in range(10, 16))
    )
    assert sorted(answer.status for answer in answered) == [200, 412, 412, 412, 412, 412]


async def test_changes_at_once_without_a_revision_are_all_made(providers: Admin, file: Path) -> None:
    bodies = [{"name": f"P{n}", "base_url": "http://127.0.0.1:9/v1", "api_key": f"key-number-{n}"} for n in range(6)]
    answered = await asyncio.gather(*(providers.post(PROVIDERS, body) for body in bodies))
    assert {answer.status for answer in answered} == {201}
    assert {key_in(file, f"P{n}") for n in range(6)} == {f"key-number-{n}" for n in range(6)}


@pytest.mark.parametrize("why", ["deny", "mode"])
async def test_where_the_file_is_not_to_be_written_the_answer_is_the_patch(
    tmp_path: Path, file: Path, why: str
) -> None:
    if why == "deny":
        file.write_text("admin: {config_writes: deny}\n" + FILE)
    else:
        file.chmod(0o440)
    before = file.read_text()
    async with admin_of_file(file) as providers:
        answered = await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"small_model": "gpt-6-nano"})
        assert (answered.status, answered.error["kind"]) == (409, "conflict")
        assert file.read_text() == before
        patch = answered.error["patch"]
        assert "+    small_model: gpt-6-nano\n" in patch
        assert KEY not in patch.replace(f"     api_key: {KEY}", "")
    copy = tmp_path / "portbroker.yaml"
    copy.write_text(before)
    await asyncio.to_thread(applied, patch, tmp_path)
    assert copy.read_text() == before.replace("small_model: gpt-5-mini", "small_model: gpt-6-nano")


async def test_a_file_that_is_wrong_as_it_is_is_not_changed(providers: Admin, file: Path) -> None:
    file.write_text("providers: [{nam: x}]\n")
    answered = await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"priority": 9})
    assert answered.status == 409
    assert answered.error["problems"]
    assert (await providers.get(PROVIDERS)).status == 409


async def test_a_provider_of_an_included_file_is_changed_there(tmp_path: Path) -> None:
    main, part = tmp_path / "portbroker.yaml", tmp_path / "providers" / "local.yaml"
    part.parent.mkdir()
    main.write_text("include: [providers/*.yaml]\nproviders:\n  - {name: A, base_url: 'http://127.0.0.1:9'}\n")
    part.write_text("# theirs\nproviders:\n  - name: B # b\n    base_url: http://127.0.0.1:9/v1\n")
    async with admin_of_file(main) as admin:
        answered = await admin.ask("PATCH", f"{PROVIDERS}/B", {"priority": 2})
        assert (answered.status, answered.json["priority"]) == (200, 2)
        assert "priority" not in main.read_text()
        assert part.read_text().endswith("    base_url: http://127.0.0.1:9/v1\n    priority: 2\n")
        assert (await admin.ask("PATCH", f"{PROVIDERS}/B", {"name": "A"})).status == 422


async def test_credentials_do_not_follow_a_provider_to_another_host(providers: Admin, file: Path) -> None:
    for body in ({"base_url": "https://evil.example/v1"}, {"base_url": "https://evil.example", "api_key": "[hidden]"},
                 {"provider_type": "groq"}):  # fmt: skip
        answered = await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", body)
        assert (answered.status, answered.error["param"]) == (422, "base_url"), answered.raw
    answered = await providers.ask(
        "PATCH", f"{PROVIDERS}/Local", {"base_url": "http://127.0.0.1:10/v1", "api_key": "new"}
    )
    assert answered.status == 422, "its headers hold something too"
    assert file.read_text() == FILE
    moved: Json = {"base_url": "http://127.0.0.1:10/v1", "api_key": "new", "headers": None}
    assert (await providers.ask("PATCH", f"{PROVIDERS}/Local", moved)).status == 200
    same_host = {"base_url": "https://api.openai.com/v2"}
    assert (await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", same_host)).status == 200


TEMPLATES = [
    {"api_key": "{{ env.HOME }}"}, {"api_key": "{{ secret.local }}"}, {"api_key": "{{ file('/etc/passwd') }}"},
    {"base_url": "https://x.example/{{ env.HOME }}"}, {"headers": {"x-a": "{{ env.HOME }}"}},
    {"headers": {"x-a": "{% for x in range(9) %}{% endfor %}"}}, {"small_model": "{{ 7*7 }}"},
    {"name": "{{ env.HOME }}"}, {"api_key": "[hidden]x{{"},
]  # fmt: skip


@pytest.mark.parametrize("fields", TEMPLATES, ids=str)
async def test_no_template_comes_in_by_a_request(providers: Admin, file: Path, fields: Json) -> None:
    body = {"name": "N", "base_url": "http://127.0.0.1:9", **fields}
    assert (await providers.post(PROVIDERS, body)).status == 422
    assert (await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", fields)).status == 422
    assert file.read_text() == FILE


WRONG = [
    {"priority": "1"}, {"priority": -1}, {"is_active": "no"}, {"provider_type": "nobody"}, {"base_url": "ftp://x"},
    {"base_url": "http://"}, {"base_url": "https://u:p@x.example"}, {"headers": {"host": "x"}},
    {"headers": {"a b": "x"}},
    {"headers": {"x-a": "a\r\nx-b: c"}}, {"headers": []}, {"timeout": "soon"}, {"timeout": {"connect": 0}},
    {"timeout": {"patience": 1}}, {"api_key": ""}, {"api_key": "k\n"}, {"models": ["x"]}, {"translation": {}},
    {"proxy": "http://x"}, {"active": True}, {"ca_file": "/etc/passwd"}, {"name": "a\nb"}, {"name": None},
]  # fmt: skip


@pytest.mark.parametrize("fields", WRONG, ids=str)
async def test_a_wrong_field_is_refused(providers: Admin, file: Path, fields: Json) -> None:
    assert (await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", fields)).status == 422
    assert file.read_text() == FILE


METADATA = [
    "http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/x", "http://2852039166/", "http://0xa9fea9fe/x",
    "http://0251.0376.0251.0376/", "http://169.254.43518/", "http://metadata.google.internal/", "http://METADATA/",
    "http://100.100.100.200/", "http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://0.0.0.0/", "http://224.0.0.1/",
    "http://[2002:a9fe:a9fe::]/", "http://[64:ff9b::a9fe:a9fe]/", "http://169.254.169.254./", "http://[::]/",
]  # fmt: skip


@pytest.mark.parametrize("url", METADATA)
async def test_no_provider_is_put_where_a_machine_keeps_its_own(providers: Admin, url: str) -> None:
    answered = await providers.post(PROVIDERS, {"name": "N", "base_url": url})
    assert (answered.status, answered.error["param"]) == (422, "base_url")


async def test_changes_are_in_the_log_without_what_was_secret(providers: Admin) -> None:
    await providers.ask("PATCH", f"{PROVIDERS}/OpenAI", {"api_key": "sk-posted-secret"})
    await providers.ask("DELETE", f"{PROVIDERS}/Local")
    log = await providers.get("/admin/audit")
    assert [(e["action"], e["subject"]) for e in log.json["data"]] == [
        ("provider.deleted", "Local"), ("provider.changed", "OpenAI")
    ]  # fmt: skip
    assert log.json["data"][1]["details"]["fields"] == ["api_key"]
    assert b"posted-secret" not in log.raw


async def test_a_provider_is_tested_with_one_real_call(file: Path) -> None:
    async with serving(answers(chat_answer("hi"))) as real:
        file.write_text(FILE.replace("http://127.0.0.1:9/v1", f"{real.url}/v1"))
        async with admin_of_file(file) as admin:
            outcome = (await admin.post(f"{PROVIDERS}/Local/test", {"model": "m-1"})).json
            assert (outcome["ok"], outcome["model"], outcome["message"]) == (True, "m-1", None)
            assert real.last.body["model"] == "m-1"
            assert real.last.body["max_tokens"] == 1
            assert real.last.headers["authorization"] == "Bearer local-secret-value"


async def test_a_failed_test_says_why_and_shows_no_key(file: Path) -> None:
    body = {"error": {"message": "Incorrect API key provided: local-secret-value", "type": "invalid_request_error"}}
    async with serving(answers(body, 401)) as real:
        file.write_text(FILE.replace("http://127.0.0.1:9/v1", f"{real.url}/v1"))
        async with admin_of_file(file) as admin:
            answered = await admin.post(f"{PROVIDERS}/Local/test", {})
            assert (answered.status, answered.json["ok"], answered.json["status"]) == (200, False, 401)
            assert b"local-secret-value" not in answered.raw
            assert (await admin.get("/admin/health")).json["workers"][0]["providers"][1]["rests"] == []


@pytest.mark.parametrize(
    "body",
    [{"command": "id"}, {"url": "http://x"}, {"headers": {}}, {"base_url": "x"}, {"model": "a\r\nb"}, {"model": 1}],
)
async def test_a_test_takes_the_name_of_a_model_and_nothing_else(providers: Admin, body: Json) -> None:
    assert (await providers.post(f"{PROVIDERS}/Local/test", body)).status == 422
    assert (await providers.post(f"{PROVIDERS}/Nobody/test", {})).status == 404


async def test_health_is_told_by_provider(file: Path) -> None:
    async with serving(answers({"error": {"message": "down"}}, 500)) as real:
        text = FILE.replace("http://127.0.0.1:9/v1", f"{real.url}/v1").replace(
            "{provider: OpenAI,", "{provider: Local,"
        )
        file.write_text(text + "breaker: {failures: 1, cool_down: 60s}\nretry: {attempts: 1}\n")
        async with admin_of_file(file) as admin:
            page = (await admin.get("/admin/health")).json["workers"][0]
            assert {one["name"]: one["state"] for one in page["providers"]} == {"OpenAI": "ok", "Local": "ok"}
            body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
            await admin.signed_out().post("/v1/chat/completions", body)
            local = named((await admin.get("/admin/health?workers=all")).json["workers"][0]["providers"], "Local")
            assert (local["state"], local["failed"], local["rests"][0]["status"]) == ("resting", 1, 500)


async def test_a_provider_of_any_name_has_its_path(providers: Admin) -> None:
    name = "A/B c?#%ü"
    body = {"name": name, "base_url": "http://127.0.0.1:9/v1"}
    location = (await providers.post(PROVIDERS, body)).headers["location"]
    assert (await providers.get(location)).json["name"] == name
    assert (await providers.ask("DELETE", location)).status == 200


def test_a_file_of_secrets_that_a_person_opens_is_yaml(tmp_path: Path) -> None:
    from portbroker.admin.posted_secrets import PostedSecrets

    posted = PostedSecrets(tmp_path / "portbroker.yaml", ".portbroker", {"b": 'q"\\ü', "a": "x"})
    posted.write()
    again = PostedSecrets(tmp_path / "portbroker.yaml", ".portbroker")
    assert again.secrets == {"a": "x", "b": 'q"\\ü'}
    assert json.loads(json.dumps(again.secrets)) == again.secrets
