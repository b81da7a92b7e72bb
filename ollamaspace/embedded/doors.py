"""Who may ask at all: the checks on Host and Origin that keep web pages away from an engine without keys.

A page may send a request to any port of the machine it is read on, and by a name of its own it may read the answer
too (DNS rebinding). So both headers must name this machine; the answer to all others is Ollama's: 403 and nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import hdrs, web

_LOCAL_NAMES = ("localhost",)
_LOCAL_ENDS = (".localhost", ".local", ".internal")
_LOCAL_ADDRESSES = ("127.0.0.1", "0.0.0.0")  # noqa: S104 - a name to compare with, nothing is bound
_APPS = ("app", "file", "tauri", "vscode-webview", "vscode-file")
_CLIENT_HEADERS = """
    Authorization Content-Type User-Agent Accept X-Requested-With Openai-Beta X-Stainless-Arch X-Stainless-Async
    X-Stainless-Custom-Poll-Interval X-Stainless-Helper-Method X-Stainless-Lang X-Stainless-Os
    X-Stainless-Package-Version X-Stainless-Poll-Helper X-Stainless-Retry-Count X-Stainless-Runtime
    X-Stainless-Runtime-Version X-Stainless-Timeout
""".split()
_CORS = {
    "Access-Control-Allow-Methods": "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
    "Access-Control-Allow-Headers": ",".join(_CLIENT_HEADERS),
    "Access-Control-Max-Age": "43200",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and not allowed_origin(origin, request.headers.get(hdrs.HOST, "")):
        return _nobody()
    if not allowed_host(request.headers.get(hdrs.HOST, "")):
        return _nobody()
    if origin is None:
        return await handler(request)
    if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
        vary = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")
        response = web.Response(status=204, headers={**_CORS, hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin})
        for name in vary:
            response.headers.add(hdrs.VARY, name)
        return response
    return await handler(request)


async def tell_origin(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, streams too, before its headers go out."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and response.status != 403 and hdrs.ACCESS_CONTROL_ALLOW_ORIGIN not in response.headers:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.VARY] = hdrs.ORIGIN


def allowed_host(host: str) -> bool:
    name = _name(f"//{host}")
    if name is None:
        return False
    if not name or name in _LOCAL_NAMES or name.endswith(_LOCAL_ENDS):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified


def allowed_origin(origin: str, host: str) -> bool:
    scheme, separator, rest = origin.partition("://")
    if not separator:
        return False
    if scheme in _APPS:
        return True
    name = _name(origin)
    return scheme in ("http", "https") and (name in (*_LOCAL_NAMES, *_LOCAL_ADDRESSES) or rest == host)


def _name(url: str) -> str | None:
    """The host of a URL without its port; None where it makes no sense."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        return parts.hostname or ""
    except ValueError:
        return None


def _nobody() -> web.Response:
    response = web.Response(status=403)
    response.headers.popall(hdrs.CONTENT_TYPE, None)
    return response
