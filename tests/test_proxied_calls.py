"""Whole calls to a provider that only a proxy reaches, with TLS files and the environment from the configuration."""

import asyncio
import json
import ssl
from pathlib import Path

import aiohttp
import pytest

from portbroker.app import running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from tests.providers import chat_answer
from tests.test_gateway import ASK, Client
from tests.upstream.provider import Peer, answering, provider
from tests.upstream.test_dialing import CA, server_context
from tests.upstream.test_tunnel import Forwarding, saying

FILE = """\
providers:
  - name: Acme
    base_url: https://api.acme.test/v1
    api_key: sk-secret
    ca_file: ca.pem
    small_model: small
"""
BODY = json.dumps(chat_answer("Hello")).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path


async def ask(text: str, directory: Path, **environ: str) -> tuple[int, str]:
    """What a client gets by this configuration: the status, and everything that it is told."""
    loaded = load_text(text.encode(), file="test.yaml", directory=directory, environ=environ)
    async with (
        running(compile_snapshot(loaded), host="127.0.0.1", port=0, max_body=1 << 20) as listening,
        aiohttp.ClientSession() as session,
    ):
        response, body = await Client(session, listening.url).post("/v1/messages", ASK)
        return response.status, f"{dict(response.headers)} {body.decode()}"


@pytest.mark.parametrize("where", ["file", "environment"])
async def test_a_call_goes_through_the_proxy_of_the_file_or_the_environment(directory: Path, where: str) -> None:
    tls = server_context(CA.issue_cert("api.acme.test"))
    async with provider(answering(ANSWER), tls) as acme:
        forwarding = Forwarding(acme.origin.port)
        async with provider(forwarding) as proxy:
            url = f"http://gateway:p%40ss@127.0.0.1:{proxy.origin.port}"
            text, environ = (FILE + f"    proxy: {url}\n", {}) if where == "file" else (FILE, {"HTTPS_PROXY": url})
            status, told = await asyncio.wait_for(ask(text, directory, **environ), 20)
    assert (status, '"text":"Hello"' in told) == (200, True)
    assert [head.split(b"\r\n")[0] for head in forwarding.heads] == [b"CONNECT api.acme.test:443 HTTP/1.1"]
    assert b"\r\nProxy-Authorization: Basic Z2F0ZXdheTpwQHNz\r\n" in forwarding.heads[0]


async def test_a_client_hears_of_a_proxy_that_refuses_and_not_of_its_credentials(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    async with provider(saying(b"HTTP/1.1 407 Who are you\r\n\r\ngateway:p@ss?")) as proxy:
        text = FILE + f"    proxy: http://gateway:p%40ss@127.0.0.1:{proxy.origin.port}\n"
        status, told = await asyncio.wait_for(ask(text, directory), 20)
    assert status == 502
    assert f"the proxy 127.0.0.1:{proxy.origin.port} does not accept the credentials (status 407)" in told
    for secret in ("p%40ss", "p@ss", "Z2F0ZXdheTpwQHNz"):
        assert secret not in told + caplog.text


async def test_a_provider_that_wants_a_certificate_is_shown_the_one_of_the_file(directory: Path) -> None:
    tls = server_context(CA.issue_cert("127.0.0.1"))
    tls.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(tls)
    client = CA.issue_cert("gateway@acme.test")
    client.private_key_and_cert_chain_pem.write_to_path(directory / "client.pem")
    shown: list[object] = []

    async def script(peer: Peer) -> None:
        shown.append(peer.writer.get_extra_info("peercert")["subjectAltName"])
        await answering(ANSWER)(peer)

    async with provider(script, tls) as acme:
        text = FILE.replace("api.acme.test", f"127.0.0.1:{acme.origin.port}")
        status, _ = await asyncio.wait_for(ask(text + "    client_cert: client.pem\n", directory), 20)
    assert (status, shown) == (200, [(("email", "gateway@acme.test"),)])
