"""Tunnels: what a proxy is asked, what it may answer, and who is at the other end."""

import asyncio
import base64
import re
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from portbroker.origin import Origin, Proxy
from tests.upstream.provider import (
    OK,
    Peer,
    Provider,
    Script,
    answering,
    ask,
    deaf_port,
    on_every_loop,
    provider,
    quick,
    send,
    transport,
)
from tests.upstream.test_dialing import CA, server_context

USER = "gateway:p%40ss/wörd"
CREDENTIALS = "Basic " + base64.b64encode(USER.encode()).decode()
CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one side to the other, its end as well."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


class Forwarding:
    """A CONNECT proxy: goes to `port` of this machine, whoever is asked for, as the machine has no other names."""

    def __init__(self, port: int, answer: bytes = CONNECTED) -> None:
        self.port = port
        self.answer = answer
        self.heads: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        self.heads.append(await peer.reader.readuntil(b"\r\n\r\n"))
        inner, outer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for byte in self.answer:
                await peer.send(bytes([byte]))
                await asyncio.sleep(0)
            back = asyncio.ensure_future(relay(inner, peer.writer))
            try:
                await relay(peer.reader, outer)
            finally:
                back.cancel()
        finally:
            outer.close()


def through(
    origin: Origin, proxy: Provider, host: str = "", authorization: str = "", ca_file: str | None = None
) -> Origin:
    """The same origin by way of a proxy, under a name that only the proxy knows."""
    way = Proxy("127.0.0.1", proxy.origin.port, authorization)
    return replace(origin, host=host or origin.host, proxy=way, ca_file=ca_file)


async def said_of(script: Script) -> str:
    """What is said of an attempt through a proxy that does this."""
    async with provider(script) as proxy, transport() as upstream:
        origin = through(Origin("https", "api.acme.test", 443), proxy, authorization=CREDENTIALS)
        error = await (await ask(upstream, origin)).failure()
        assert (proxy.connections, error.retryable) == (1, True)
        assert CREDENTIALS not in f"{error!r} {error} {origin!r} {origin}"
        return str(error).replace(str(proxy.origin.port), "3128")


def trust(folder: Path) -> str:
    file = folder / "ca.pem"
    CA.cert_pem.write_to_path(file)
    return str(file)


@on_every_loop
async def test_tls_is_spoken_with_the_origin_through_the_proxy(tmp_path: Path) -> None:
    tls = server_context(CA.issue_cert("api.acme.test"))
    async with provider(answering(OK), tls) as acme:
        forwarding = Forwarding(acme.origin.port)
        async with provider(forwarding) as proxy, transport() as upstream:
            origin = through(acme.origin, proxy, "api.acme.test", ca_file=trust(tmp_path))
            for _ in range(3):
                answer = await ask(upstream, origin, body=bytes(300_000))
                assert (answer.status, answer.body, answer.whole) == (200, b"{}", True)
            assert (proxy.connections, acme.connections) == (1, 1)
    place = b"api.acme.test:%d" % acme.origin.port
    assert forwarding.heads == [b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (place, place)]


@on_every_loop
async def test_a_certificate_for_another_host_is_refused_through_a_proxy_too(tmp_path: Path) -> None:
    async with provider(answering(OK), server_context(CA.issue_cert("127.0.0.1"))) as acme:
        async with provider(Forwarding(acme.origin.port)) as proxy, transport() as upstream:
            origin = through(acme.origin, proxy, "api.acme.test", ca_file=trust(tmp_path))
            error = await (await ask(upstream, origin)).failure()
    assert "cannot be reached: its certificate is not trusted" in str(error)


@on_every_loop
async def test_a_provider_without_tls_is_tunnelled_to_as_well() -> None:
    async with provider(answering(OK)) as acme:
        forwarding = Forwarding(acme.origin.port)
        async with provider(forwarding) as proxy, transport() as upstream:
            answer = await ask(upstream, through(acme.origin, proxy, "bücher.test"))
            assert (answer.status, answer.whole) == (200, True)
    assert forwarding.heads[0].startswith(b"CONNECT xn--bcher-kva.test:%d HTTP/1.1\r\n" % acme.origin.port)


@on_every_loop
async def test_an_address_of_ip_version_six_is_asked_for_in_brackets() -> None:
    async with provider(answering(OK)) as acme:
        forwarding = Forwarding(acme.origin.port)
        async with provider(forwarding) as proxy, transport() as upstream:
            assert (await ask(upstream, through(acme.origin, proxy, "2001:db8::1"))).whole
    place = b"[2001:db8::1]:%d" % acme.origin.port
    assert forwarding.heads == [b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (place, place)]


@on_every_loop
async def test_credentials_are_for_the_proxy_alone() -> None:
    requests: list[bytes] = []

    async def script(peer: Peer) -> None:
        requests.append(await peer.request())
        await peer.send(OK)

    async with provider(script) as acme:
        forwarding = Forwarding(acme.origin.port)
        async with provider(forwarding) as proxy, transport() as upstream:
            origin = through(acme.origin, proxy, authorization=CREDENTIALS)
            assert (await ask(upstream, origin)).whole
    (head,) = forwarding.heads
    (sent,) = re.findall(rb"\r\nProxy-Authorization: (.*)\r\n", head)
    assert base64.b64decode(sent.removeprefix(b"Basic ")).decode() == USER
    assert b"roxy" not in requests[0]
    assert str(origin.proxy) == f"127.0.0.1:{proxy.origin.port}"
    assert CREDENTIALS not in repr(origin)


@on_every_loop
async def test_connections_with_other_credentials_or_files_are_others(tmp_path: Path) -> None:
    async with provider(answering(OK)) as acme, provider(Forwarding(acme.origin.port)) as proxy:
        async with transport() as upstream:
            direct = acme.origin
            plain, shown = through(direct, proxy), through(direct, proxy, authorization=CREDENTIALS)
            for origin in (direct, plain, shown, direct, plain, shown):
                assert (await ask(upstream, origin)).whole
        assert (proxy.connections, acme.connections) == (2, 3)


@on_every_loop
async def test_a_client_certificate_is_shown_to_the_origin_through_the_proxy(tmp_path: Path) -> None:
    context = server_context(CA.issue_cert("api.acme.test"))
    context.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(context)
    shown = tmp_path / "client.pem"
    CA.issue_cert("gateway@portbroker.test").private_key_and_cert_chain_pem.write_to_path(shown)
    async with provider(answering(OK), context) as acme, provider(Forwarding(acme.origin.port)) as proxy:
        async with transport() as upstream:
            origin = through(acme.origin, proxy, "api.acme.test", ca_file=trust(tmp_path))
            assert (await ask(upstream, replace(origin, client_cert=str(shown)))).whole
            assert (await ask(upstream, origin)).error


def saying(answer: bytes) -> Script:
    """A proxy that answers this, and waits."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.gone()

    return script


@on_every_loop
@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno",
         "does not accept the credentials (status 407)"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "refused to connect (status 502)"),
        (b"HTTP/1.1 403\r\n\r\n<html>", "refused to connect (status 403)"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x\r\n\r\n", "refused to connect (status 302)"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "refused to connect (status 101)"),
        (b"HTTP/2 200 OK\r\n\r\n", "sent an answer that is not HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "sent an answer that is not HTTP"),
        (b"SSH-2.0-OpenSSH_9.7\r\n\r\n", "sent an answer that is not HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n", "sent an answer that is not HTTP"),
        (CONNECTED + b"\x00", "sent something after its answer that nobody asked for"),
        (CONNECTED + OK, "sent something after its answer that nobody asked for"),
        (b"HTTP/1.1 200 OK\r\nx: " + bytes(100_000), "answered with a head larger than 16384 bytes"),
    ],
)  # fmt: skip
async def test_what_a_proxy_answers_instead_of_connecting_is_said_in_plain_words(answer: bytes, what: str) -> None:
    assert await said_of(saying(answer)) == f"Acme (api.acme.test) cannot be reached: the proxy 127.0.0.1:3128 {what}"


@on_every_loop
async def test_a_proxy_that_wants_credentials_where_there_are_none_says_so() -> None:
    async with provider(saying(b"HTTP/1.1 407 No\r\n\r\n")) as proxy, transport() as upstream:
        error = await (await ask(upstream, through(Origin("https", "api.acme.test", 443), proxy))).failure()
    assert "wants credentials (status 407)" in str(error)


@on_every_loop
@pytest.mark.parametrize(
    ("begun", "what"),
    [(b"", "without answering"), (b"HTTP/1.1 200 OK\r\n", "in the middle of its answer")],
)
async def test_a_proxy_that_closes_is_named(begun: bytes, what: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(begun)

    assert await said_of(script) == (
        f"Acme (api.acme.test) cannot be reached: the proxy 127.0.0.1:3128 closed the connection {what}"
    )


@on_every_loop
async def test_a_proxy_that_breaks_off_is_named() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    assert "the proxy 127.0.0.1:3128 broke the connection off" in await said_of(script)


@on_every_loop
async def test_a_proxy_that_falls_silent_is_given_up_when_the_time_to_connect_is_over() -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        await peer.gone()
        left.set()

    async with provider(script) as proxy, transport() as upstream:
        origin = through(Origin("http", "api.acme.test", 80), proxy)
        error = await (await ask(upstream, origin, timeouts=quick(connect=0.5))).failure()
        assert str(error) == (
            f"Acme (api.acme.test) could not be connected to through the proxy {origin.proxy} within 0.5 s"
        )
        await left.wait()


@on_every_loop
async def test_an_attempt_that_is_cancelled_leaves_the_proxy() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        left.set()

    async with provider(script) as proxy, transport() as upstream:
        answer = send(upstream, through(Origin("https", "api.acme.test", 443), proxy))
        await asked.wait()
        assert answer.attempt
        answer.attempt.cancel()
        await left.wait()
        assert not answer.done.is_set()


@on_every_loop
async def test_a_proxy_that_is_not_there_is_named() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        port = bound.getsockname()[1]
        for host, why in (("127.0.0.1", "connection refused"), ("no.invalid", "the host name cannot be resolved")):
            origin = Origin("https", "api.acme.test", 443, proxy=Proxy(host, port, CREDENTIALS))
            async with transport() as upstream:
                error = await (await ask(upstream, origin)).failure()
            assert str(error).endswith(f"cannot be reached: the proxy {host}:{port} cannot be reached ({why})")


@on_every_loop
async def test_the_name_of_the_origin_is_for_the_proxy_to_resolve() -> None:
    async with provider(answering(OK)) as acme, provider(Forwarding(acme.origin.port)) as proxy:
        async with transport() as upstream:
            assert (await ask(upstream, through(acme.origin, proxy, "nowhere.invalid"))).whole


@on_every_loop
async def test_a_proxy_that_does_not_take_connections_costs_no_more_than_the_time_to_connect() -> None:
    with deaf_port() as deaf:
        origin = Origin("https", "api.acme.test", 443, proxy=Proxy("127.0.0.1", deaf))
        async with transport() as upstream:
            error = await (await ask(upstream, origin, timeouts=quick(connect=0.05))).failure()
    assert (error.kind, "through the proxy" in str(error)) == ("timeout", True)
