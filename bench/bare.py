"""A reverse proxy on aiohttp without any feature: what an ordinary application on it costs. Arguments: port, mock."""

import sys
from collections.abc import AsyncIterator

import uvloop
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

SESSION = web.AppKey("session", ClientSession)


async def session(app: web.Application) -> AsyncIterator[None]:
    connector, timeout = TCPConnector(limit=0), ClientTimeout(total=None)
    async with ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as app[SESSION]:
        yield


async def forward(request: web.Request) -> web.StreamResponse:
    url = f"http://127.0.0.1:{sys.argv[2]}{request.path}"
    headers = {"content-type": "application/json", "authorization": "Bearer bench"}
    async with request.app[SESSION].post(url, data=await request.read(), headers=headers) as answer:
        if answer.headers.get("transfer-encoding") != "chunked":
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
        stream = web.StreamResponse(status=answer.status, headers={"content-type": answer.headers["content-type"]})
        await stream.prepare(request)
        async for piece in answer.content.iter_any():
            await stream.write(piece)
        await stream.write_eof()
        return stream


if __name__ == "__main__":
    app = web.Application(client_max_size=64 << 20)
    app.cleanup_ctx.append(session)
    app.router.add_post("/{path:.*}", forward)
    loop = uvloop.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=loop)
