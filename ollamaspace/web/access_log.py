"""One line a request: route, status, bytes, time, who. No query, no body, no header of the caller's."""

from __future__ import annotations

import asyncio
import logging
import time

from aiohttp import web
from aiohttp.typedefs import Handler

from ollamaspace.access.identify import IDENTITY
from ollamaspace.gateway.forward import OUTCOME, SENT

log = logging.getLogger("ollamaspace.access")

_QUIET = ("/healthz", "/readyz", "/static/{path}", "/space/status")


@web.middleware
async def access_log(request: web.Request, handler: Handler) -> web.StreamResponse:
    began = time.monotonic()
    status = 0
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    except (asyncio.CancelledError, ConnectionResetError):
        status = 499  # the reader left
        raise
    finally:
        _write(request, status, time.monotonic() - began)


def _write(request: web.Request, status: int, seconds: float) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "-"
    level = logging.DEBUG if route in _QUIET and status < 400 else logging.INFO
    if not log.isEnabledFor(level):
        return
    identity = request.get(IDENTITY)
    facts = {
        "method": request.method,
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "bytes_out": request.get(SENT),
        "outcome": request.get(OUTCOME),
        "key": identity.id if identity else None,
    }
    facts = {name: value for name, value in facts.items() if value is not None}
    words = " ".join(str(facts[name]) for name in ("method", "route", "status"))
    outcome = f" {facts['outcome']}" if facts.get("outcome", "done") != "done" else ""
    log.log(level, "%s%s %.0f ms", words, outcome, seconds * 1000, extra={"facts": facts})
