"""The real command, told to stop: it says so, lets calls end, and leaves with 0."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.providers import chat_chunk, sse
from tests.wire_providers import LAST, STREAM, Wire, chunk, scripted

BODY = b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}'
ASK = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])


@asynccontextmanager
async def serving(folder: Path, url: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The command, and its port."""
    provider = f"{{name: P, base_url: '{url}/v1', api_key: sk-secret-0123456789, models: [m]}}"
    (folder / "portbroker.yaml").write_text(f"providers:\n  - {provider}\n")
    unset = ("PORTBROKER_CONFIG", "HOST")
    environment = {name: value for name, value in os.environ.items() if name not in unset} | {"PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "portbroker", cwd=folder, env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        while b"serving http" not in (line := await process.stderr.readline()):
            assert line, "it ended"
        yield process, int(line.partition(b"127.0.0.1:")[2].split()[0].rstrip(b","))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def last_words(process: asyncio.subprocess.Process) -> str:
    """What it says until it ends, which must be well."""
    assert process.stderr is not None
    async with asyncio.timeout(10):
        said = (await process.stderr.read()).decode()
        assert await process.wait() == 0
    assert "Traceback" not in said
    assert "stopping" in said
    return said


@SIGNALS
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
async def test_a_stream_under_way_ends_unless_told_twice(number: signal.Signals, times: int, tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM, chunk(sse(chat_chunk({"content": "Hel"}))))
        await go_on.wait()
        await wire.send(chunk(sse(chat_chunk({"content": "lo"}), chat_chunk({}, "stop"), "[DONE]")), LAST)

    async with scripted(script) as provider, serving(tmp_path, provider.url) as (process, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        await reader.readuntil(b"Hel")
        assert process.stderr is not None
        process.send_signal(number)
        while b"stopping" not in (said := await process.stderr.readline()):
            assert said
        if times == 2:
            process.send_signal(number)
        else:
            go_on.set()
        assert (b"message_stop" in await asyncio.wait_for(reader.read(), 10)) == (times == 1)
        writer.close()
        rest = (await process.stderr.read()).decode()
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert "Traceback" not in rest


@SIGNALS
async def test_an_idle_connection_does_not_hold_the_server(number: signal.Signals, tmp_path: Path) -> None:
    async with serving(tmp_path, "http://127.0.0.1:1") as (process, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        process.send_signal(number)
        await last_words(process)
        assert await reader.read() == b""
        writer.close()
