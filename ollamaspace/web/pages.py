"""The pages and the way to them. No secrets are in them: the key is in the address's fragment or in the browser."""

from __future__ import annotations

import aiohttp_jinja2
import jinja2
from aiohttp import web

from ollamaspace import __version__
from ollamaspace.web.assets import folder


def add_routes(app: web.Application) -> None:
    aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(folder("templates")),
        autoescape=True,
        auto_reload=False,
        undefined=jinja2.StrictUndefined,
    )
    app.router.add_get("/", to_chat)
    app.router.add_get("/chat", chat)
    app.router.add_get("/keys", keys)


async def to_chat(request: web.Request) -> web.Response:
    # Relative, so that it leads to the page under any prefix that a proxy may have cut off.
    return web.Response(status=302, headers={"Location": "chat"})


@aiohttp_jinja2.template("chat.html")
async def chat(request: web.Request) -> dict[str, str]:
    return {"version": __version__, "lang": "en"}


@aiohttp_jinja2.template("keys.html")
async def keys(request: web.Request) -> dict[str, str]:
    return {"version": __version__, "lang": "en"}
