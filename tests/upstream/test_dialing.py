"""Names, addresses and TLS: whom a connection is opened to, and when it is not."""

import asyncio
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from portbroker.errors import ProviderError
from portbroker.origin import Origin
from tests.upstream.provider import (
    OK,
    Answer,
    Peer,
    answering,
    ask,
    deaf_port,
    on_every_loop,
    provider,
    quick,
    send,
    transport,
)

CA = trustme.CA()


def server_context(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    cert.configure_cert(context)
    return context


def trusting(origin: Origin, folder: Path, ca: trustme.CA = CA, client_cert: str | None = None) -> Origin:
    """The same origin, with its authority in a file."""
    file = folder / "ca.pem"
    ca.cert_pem.write_to_path(file)
    return Origin(origin.scheme, origin.host, origin.port, str(file), client_cert)


async def refusal(cert: trustme.LeafCert, folder: Path, **origin: str) -> ProviderError:
    """Why a provider that shows this certificate is not talked to. It must not see the request."""
    requests: list[bytes] = []

    async def script(peer: Peer) -> None:
        requests.append(await peer.reader.read(1))

    async with provider(script, server_context(cert), **origin) as acme, transport() as upstream:
        error = await (await ask(upstream, trusting(acme.origin, folder))).failure()
    assert requests in ([], [b""])
    assert (error.kind, error.retryable) == ("api", True)
    return error


@on_every_loop
async def test_tls_is_spoken_with_a_provider_whose_authority_is_named(tmp_path: Path) -> None:
    chosen: list[str | None] = []

    async def script(peer: Peer) -> None:
        chosen.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await answering(OK)(peer)

    async with provider(script, server_context(CA.issue_cert("localhost")), "localhost") as acme:
        async with transport() as upstream:
            origin = trusting(acme.origin, tmp_path)
            for _ in range(3):
                assert (await ask(upstream, origin, body=bytes(300_000))).whole
            assert acme.connections == 1
    assert chosen == ["http/1.1"]


@on_every_loop
async def test_a_self_signed_certificate_is_refused() -> None:
    async with provider(answering(OK), server_context(CA.issue_cert("127.0.0.1"))) as acme, transport() as upstream:
        error = await (await ask(upstream, acme.origin)).failure()  # the system's trust store does not know it
    assert "certificate is not trusted" in str(error)


@on_every_loop
async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    error = await refusal(CA.issue_cert("other.test"), tmp_path)
    assert "certificate is not trusted" in str(error)
    assert "mismatch" in str(error)


@on_every_loop
async def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    error = await refusal(CA.issue_cert("127.0.0.1", not_after=yesterday), tmp_path)
    assert "expired" in str(error)


@on_every_loop
async def test_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    assert "not trusted" in str(await refusal(trustme.CA().issue_cert("127.0.0.1"), tmp_path))


@on_every_loop
async def test_a_provider_that_speaks_no_tls_is_refused(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.gone()

    async with provider(script) as acme, transport() as upstream:
        origin = trusting(Origin("https", "127.0.0.1", acme.origin.port), tmp_path)
        error = await (await ask(upstream, origin)).failure()
    assert "cannot be reached: TLS failed" in str(error)


@on_every_loop
async def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    context = server_context(CA.issue_cert("127.0.0.1"))
    context.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(context)
    shown = tmp_path / "client.pem"
    CA.issue_cert("gateway@portbroker.test").private_key_and_cert_chain_pem.write_to_path(shown)
    async with provider(answering(OK), context) as acme, transport() as upstream:
        assert (await ask(upstream, trusting(acme.origin, tmp_path, client_cert=str(shown)))).whole
        assert (await ask(upstream, trusting(acme.origin, tmp_path))).error


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\n!!\n"])
@pytest.mark.parametrize("part", ["ca_file", "client_cert"])
async def test_a_tls_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, part: str) -> None:
    file = tmp_path / "tls.pem"
    if content is not None:
        file.write_bytes(content)
    async with transport() as upstream:
        files = {"ca_file": None, "client_cert": None, part: str(file)}
        origin = Origin("https", "127.0.0.1", 1, files["ca_file"], files["client_cert"])
        error = await (await ask(upstream, origin)).failure()
    assert part in str(error) or "TLS file" in str(error)
    assert str(file) in str(error)


@on_every_loop
async def test_a_tls_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    async with provider(answering(OK), server_context(CA.issue_cert("127.0.0.1"))) as acme, transport() as upstream:
        wrong = trusting(acme.origin, tmp_path, trustme.CA())
        assert (await ask(upstream, wrong)).error
        CA.cert_pem.write_to_path(tmp_path / "ca.pem")
        os.utime(tmp_path / "ca.pem", ns=(1, 1))
        assert (await ask(upstream, wrong)).whole


@on_every_loop
async def test_a_body_that_breaks_off_fails_over_tls_too(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf")

    async with provider(script, server_context(CA.issue_cert("127.0.0.1"))) as acme, transport() as upstream:
        error = await (await ask(upstream, trusting(acme.origin, tmp_path))).failure()
    assert "in the middle of its answer" in str(error)


@on_every_loop
async def test_a_name_that_nobody_has_cannot_be_resolved() -> None:
    async with transport() as upstream:
        for host in ("nowhere.invalid", "a" * 70 + ".invalid"):
            error = await (await ask(upstream, Origin("http", host, 80))).failure()
            assert str(error) == f"Acme ({host}) cannot be reached: the host name cannot be resolved"


@on_every_loop
async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with deaf_port() as deaf:
        async with provider(answering(OK), host="acme.test") as acme, transport() as upstream:
            loop = asyncio.get_running_loop()
            really = loop.getaddrinfo

            async def resolve(host: Any, port: Any, **how: Any) -> Any:
                if host != "acme.test":
                    return await really(host, port, **how)
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", p)) for p in (deaf, port)]

            loop.getaddrinfo = resolve  # type: ignore[method-assign]
            answer = await ask(upstream, acme.origin, timeouts=quick(connect=5))
            assert answer.error is None


@on_every_loop
async def test_small_writes_are_not_held_back() -> None:
    async with provider(answering(OK)) as acme, transport() as upstream:
        answer: Answer = send(upstream, acme.origin)
        await answer.done.wait()
        connection = next(iter(upstream._pools[acme.origin].connections))
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@on_every_loop
async def test_proxies_of_the_environment_are_not_used() -> None:
    async with provider(answering(OK)) as proxy, provider(answering(OK)) as acme, transport() as upstream:
        with pytest.MonkeyPatch.context() as environment:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                environment.setenv(name, f"http://127.0.0.1:{proxy.origin.port}")
            assert (await ask(upstream, acme.origin)).whole
        assert (proxy.connections, acme.connections) == (0, 1)
