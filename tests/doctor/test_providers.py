"""What the doctor finds out about providers that are well, and that are not."""

import ssl
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from portbroker.doctor.findings import Finding
from portbroker.doctor.providers import look
from tests.providers import Behaviour, Json, serving
from tests.upstream.provider import deaf_port
from tests.wire_providers import says, scripted

LIST: Json = {"data": [{"id": "gpt-5-mini"}, {"id": "models/gemini-pro"}]}


def listing(key: str = "Bearer k", body: Json = LIST, status: int = 200) -> Behaviour:
    """A provider that lists its models to those who show the key."""

    async def behave(request: web.Request) -> web.StreamResponse:
        if key and request.headers.get("authorization") != key:
            return web.json_response({"error": {"message": "no"}}, status=401)
        return web.json_response(body, status=status)

    return behave


async def found(url: str, *models: str, more: str = "", seconds: float = 5.0) -> list[Finding]:
    file = f"providers: [{{name: P, base_url: '{url}/v1', api_key: k{more}}}]"
    config = load_text(file.encode(), file="test.yaml", directory=Path("/nonexistent"), environ={})
    return await look(compile_snapshot(config), {"P": models}, seconds)


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.state, finding.what) for finding in findings]


async def test_a_provider_that_is_well_is_reached_and_knows_its_models() -> None:
    async with serving(listing()) as provider:
        assert told(await found(provider.url, "gpt-5-mini", "gemini-pro")) == [
            ("good", f"{provider.url}/v1 can be reached"),
            ("good", "its key is taken"),
            ("good", "it knows gpt-5-mini, gemini-pro"),
        ]
        assert provider.seen[0].path == "/v1/models"


async def test_a_model_that_is_not_listed_is_named_with_the_nearest() -> None:
    async with serving(listing()) as provider:
        *_, last = await found(provider.url, "gpt-5-mimi")
        assert (last.state, last.what) == ("doubtful", "gpt-5-mimi is not in its list of models")
        assert last.hint == "did it mean gpt-5-mini?"


async def test_a_key_that_is_refused_is_bad_and_never_shown() -> None:
    async with serving(listing("Bearer other")) as provider:
        findings = await found(provider.url)
        assert told(findings)[1] == ("bad", "its key is refused, with status 401")
        assert findings[1].hint


async def test_of_several_keys_each_is_tried() -> None:
    async with serving(listing("Bearer second")) as provider:
        file = f"""
providers:
  - name: P
    base_url: {provider.url}/v1
    api_keys: [{{name: one, key: first}}, {{name: two, key: second}}]
"""
        config = load_text(file.encode(), file="test.yaml", directory=Path("/nonexistent"), environ={})
        findings = told(await look(compile_snapshot(config), {}, 5.0))
        assert findings[1:3] == [("bad", "its key one is refused, with status 401"), ("good", "its key two is taken")]


async def test_a_list_that_is_shown_to_anyone_proves_no_key() -> None:
    async with serving(listing("")) as provider:
        assert told(await found(provider.url))[1] == (
            "unknown", "whether its key is taken: it lists its models to anyone",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "state", "what"),
    [
        (404, "unknown", "its key and its models: it has no list of models"),
        (503, "doubtful", "its list of models answers with status 503"),
        (302, "doubtful", "its list of models answers with status 302"),
    ],
)
async def test_other_answers_are_not_taken_for_more_than_they_are(status: int, state: str, what: str) -> None:
    async with serving(listing("", status=status)) as provider:
        assert told(await found(provider.url, "any"))[1:] == [(state, what)]


async def test_what_is_no_list_says_nothing_of_models() -> None:
    async with serving(listing(body={"data": "none"})) as provider:
        assert told(await found(provider.url, "any"))[1:] == [("good", "its key is taken")]


async def test_a_port_where_nobody_listens_is_bad() -> None:
    (finding,) = await found("http://127.0.0.1:1")
    assert (finding.state, finding.what) == ("bad", "P (127.0.0.1:1) cannot be reached: connection refused")
    assert finding.hint == "is a server running there, on this port?"


async def test_a_name_that_nobody_has_is_bad() -> None:
    (finding,) = await found("http://nobody.invalid", more=", proxy: none")
    assert "the host name cannot be resolved" in finding.what
    assert "DNS" in finding.hint


async def test_a_certificate_that_nobody_vouches_for_is_bad() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with scripted(says(b""), context) as provider:
        (finding,) = await found(provider.url)
        assert "its certificate is not trusted" in finding.what
        assert "ca_file" in finding.hint


async def test_a_provider_that_does_not_speak_tls_is_told_apart() -> None:
    async with serving(listing()) as provider:
        (finding,) = await found(provider.url.replace("http://", "https://"))
        assert "TLS failed" in finding.what
        assert "https" in finding.hint


async def test_a_provider_that_takes_no_connection_is_given_up() -> None:
    with deaf_port() as port:
        (finding,) = await found(f"http://127.0.0.1:{port}", seconds=0.2)
        assert (finding.state, "within 0.2 s" in finding.what) == ("bad", True)
        assert "firewall" in finding.hint


async def test_providers_that_are_not_called_are_left_alone() -> None:
    file = b"providers: [{name: P, provider_type: openai, api_key: '{{ env.NONE }}'}]"
    config = load_text(file, file="test.yaml", directory=Path("/nonexistent"), environ={})
    assert await look(compile_snapshot(config), {}, 1.0) == []
