"""aiohttp's server with what it lacks: a deadline for the first request, a bound on connections, quiet errors.

Bytes that are no request never reach a middleware. aiohttp would answer them with its version and their own text and
log a traceback each; here they get one plain answer, and the log a line now and then.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, cast
from weakref import WeakSet

import aiohttp
from aiohttp import http_parser, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

from ollamaspace.errors import CannotStart
from ollamaspace.gateway.body import ASKS_FIRST
from ollamaspace.logs import REQUEST_ID
from ollamaspace.web.strict import NAME, new_name

log = logging.getLogger("ollamaspace.web.connections")  # its own, so that quieting it quiets nothing else

HEADER_SECONDS = 10.0
KEEPALIVE_SECONDS = 75.0  # longer than proxies keep theirs, so that it is never we who close under a request
LINGER_SECONDS = 2.0  # for a body that nobody wanted
MAX_LINE = 8190
MAX_HEADERS = 100

_OLDEST = (3, 14, 5)
_SERVER_OPTIONS: dict[str, Any] = {
    "handler_cancellation": True,  # or a closed tab keeps the model working until its next token
    "keepalive_timeout": KEEPALIVE_SECONDS,
    "lingering_time": LINGER_SECONDS,
    "access_log": None,  # ours is a middleware: aiohttp's shows queries
    "auto_decompress": False,
    "max_line_size": MAX_LINE,
    "max_field_size": MAX_LINE,
    "max_headers": MAX_HEADERS,
}


class Sparingly(logging.Filter):
    """Lets `most` records a minute through; the next one after a pause says how many were left out."""

    def __init__(self, most: int = 10, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._clock = most, clock
        self._since, self._seen = clock(), 0

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        if now - self._since >= 60:
            if (hidden := self._seen - self._most) > 0:
                record.msg, record.args = f"{record.getMessage()} ({hidden} more like this in the last minute)", None
            self._since, self._seen = now, 0
        self._seen += 1
        return self._seen <= self._most


class Connection(web.RequestHandler):
    """One connection. Closed when no whole request has come `within` seconds of its beginning."""

    __slots__ = ("__weakref__", "_deadline", "_open", "_plain", "_within")

    def __init__(self, server: GuardedServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._plain, self._within, self._open = server.plain, server.within, server.open
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = asyncio.get_running_loop().call_later(self._within, self.force_close)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.request_came()
        self._open.discard(self)
        super().connection_lost(exc)

    def request_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Instead of aiohttp's own, which repeats what was sent. Raises ConnectionError when nobody can be told."""
        if isinstance(exc, ConnectionError) and (self.transport is None or self.transport.is_closing()):
            raise exc
        name = request.get(NAME) or new_name()
        REQUEST_ID.set(name)
        log.log(
            logging.ERROR if status >= 500 else logging.INFO,
            "%s from %s: %s",
            "a request failed" if status >= 500 else "something that is not HTTP",
            request.remote,
            type(exc).__name__,
            exc_info=exc if status >= 500 else None,
        )
        if request.writer.output_size > 0:
            raise ConnectionError("the response had begun")
        headers = {**self._plain, "X-Request-ID": name, "Connection": "close"}
        response = web.Response(status=status, headers=headers, body=_body(status), content_type="application/json")
        response.force_close()
        return response


class Refusal(asyncio.Protocol):
    """A connection too many: told so and closed, at no more cost than that."""

    def __init__(self, plain: Mapping[str, str]) -> None:
        body = json.dumps({"error": "Too many connections. Try again later.", "code": "too_many"}).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Retry-After": "5"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**plain, **headers, "Connection": "close"}.items())
        self._head = b"HTTP/1.1 503 Service Unavailable\r\n" + lines.encode("ascii")
        self._body = b"\r\n" + body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        transport.write(self._head + b"X-Request-ID: " + new_name().encode("ascii") + b"\r\n" + self._body)
        transport.close()


class GuardedServer(web.Server):
    """Makes our connections instead of aiohttp's, and requests that aiohttp does not answer by itself."""

    def __init__(self, made: web.Server, plain: Mapping[str, str], most: int, within: float) -> None:
        super().__init__(
            made.request_handler,
            request_factory=self._request,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )
        self._factory = made.request_factory
        self.plain, self.most, self.within = plain, most, within
        # From being accepted on: aiohttp counts one only once it runs, when hundreds more may have been let in.
        self.open: WeakSet[Connection] = WeakSet()

    def __call__(self) -> web.RequestHandler:
        if len(self.open) >= self.most:
            log.warning("refused a connection: there are %d already", self.most)
            return Refusal(self.plain)  # type: ignore[return-value]
        connection = Connection(self, loop=self._loop, **self._kwargs)
        self.open.add(connection)
        return connection

    def _request(self, message: RawRequestMessage, *rest: Any) -> web.BaseRequest:
        """aiohttp invites a body (Expect) before any of our code runs; so it never hears of the wish."""
        expects = "Expect" in message.headers
        if expects:
            headers = CIMultiDict(message.headers)
            del headers["Expect"]
            message = message._replace(headers=CIMultiDictProxy(headers))
        request = self._factory(message, *rest)
        if expects and message.version >= HttpVersion11:
            request[ASKS_FIRST] = True
        if isinstance(request.protocol, Connection):
            request.protocol.request_came()
        return request


class Runner(web.AppRunner):
    """Runs an app on a GuardedServer. Raises CannotStart where the parser is not one to put before strangers."""

    def __init__(
        self, app: web.Application, plain: Mapping[str, str], most: int, within: float = HEADER_SECONDS, **options: Any
    ) -> None:
        super().__init__(app, **(_SERVER_OPTIONS | options))
        self._guard = (plain, most, within)

    async def _make_server(self) -> web.Server:
        check_parser()
        for name in ("aiohttp.server", "asyncio"):  # asyncio: one record a try when file descriptors run out
            _quieten(logging.getLogger(name))
        _quieten(log)
        return GuardedServer(await super()._make_server(), *self._guard)


def check_parser() -> None:
    """The parser in Python has had smuggling holes that the one in C had not; older versions have holes in both."""
    version = tuple(int(part) for part in aiohttp.__version__.split(".")[:3] if part.isdigit())
    if version < _OLDEST:
        raise CannotStart(f"aiohttp {aiohttp.__version__} is too old; at least 3.14.5 is needed.")
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise CannotStart("aiohttp's parser in C is missing: reinstall aiohttp from its wheel.")


def _quieten(logger: logging.Logger) -> None:
    if not any(isinstance(one, Sparingly) for one in logger.filters):
        logger.addFilter(Sparingly())


def _body(status: int) -> bytes:
    if status >= 500:
        return json.dumps({"error": "Something went wrong here.", "code": "internal"}).encode()
    return json.dumps({"error": "This is not a valid HTTP request.", "code": "bad_request"}).encode()
