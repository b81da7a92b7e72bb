"""The least aiohttp relay there is, for reference: no key, no checks, `await write` a piece."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

ENGINE = "http://" + os.environ["OLLAMA_HOST"]
SESSION = web.AppKey("session", aiohttp.ClientSession)


async def session(app: web.Application) -> AsyncIterator[None]:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as opened:
        app[SESSION] = opened
        yield


async def relay(request: web.Request) -> web.StreamResponse:
    headers = {"Content-Type": "application/json"}
    body = await request.read()
    async with request.app[SESSION].post(f"{ENGINE}/api/chat", data=body, headers=headers) as reply:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        while data := await reply.content.readany():
            await response.write(data)
        await response.write_eof()
        return response


def main() -> None:
    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_post("/chat_api", relay)
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop=uvloop.new_event_loop(),
        handler_cancellation=True,
        print=None,
        access_log=None,
        backlog=2048,
    )


if __name__ == "__main__":
    main()
