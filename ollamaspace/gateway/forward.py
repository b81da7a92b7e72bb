"""The copy loop: from the engine's reply to the reader's response, whole lines as they come.

Nothing is parsed or changed that need not be. Failures are blamed on the side that was being used: only what goes
wrong while reading is the engine's. A stream that has begun never ends without a final record or an error line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import aiohttp
from aiohttp import web

from ollamaspace.dialects import ndjson, refusals
from ollamaspace.engine.client import EngineClient
from ollamaspace.errors import EndedEarly, EngineCrashed, EngineError, OllamaSpaceError, ReaderTooSlow, Unexpected
from ollamaspace.gateway import headers
from ollamaspace.gateway.streams import Chunked, Relay, Streams
from ollamaspace.logs import REQUEST_ID

log = logging.getLogger("ollamaspace.gateway")

_MOST_OF_A_REFUSAL = 64 * 1024
_MOST_OF_A_WHOLE_REPLY = 16 * 1024 * 1024
_LAST_CHUNK_WITHIN = 0.5
_NO_FINAL_LINE = "The answer ended early: the engine closed it without a final line."

OUTCOME = web.RequestKey("outcome", str)
"""How a stream ended, for the access log: `done` or the code of an error."""
SENT = web.RequestKey("sent", int)


T = TypeVar("T")


class Engine(Protocol):
    """What the copy loop needs to know of whoever keeps the engine."""

    async def ready(self, within: float) -> None: ...

    async def doubted(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the engine: `unknown_model` makes the error for a model it does not have."""

    path: str
    body: bytes
    unknown_model: Callable[[], Awaitable[OllamaSpaceError]]


class Begun(NamedTuple):
    """A reply that has begun: its first whole lines, and the splitter that holds the rest."""

    reply: aiohttp.ClientResponse
    lines: ndjson.Lines
    first: bytes


@dataclass(frozen=True, slots=True)
class Forwarder:
    """Sends calls to the engine and copies what comes back. `hold` is in seconds."""

    client: EngineClient
    engine: Engine
    streams: Streams
    hold: float

    async def stream(self, request: web.Request, call: Call) -> web.StreamResponse:
        """NDJSON, line by line. Raises OllamaSpaceError as long as nothing was sent."""
        response = web.StreamResponse(headers=headers.of_stream(ndjson.CONTENT_TYPE))
        with self.streams.open() as relay:
            try:
                await self._relay(request, response, call, relay)
                request[OUTCOME] = "done"
            except OllamaSpaceError as error:
                if relay.body is None:
                    raise
                request[OUTCOME] = error.code
                _end_with(error, relay.body)
            except Exception:  # a fault of ours must not end a stream without a word, nor begin a second response in it
                if relay.body is None:
                    raise
                log.exception("unexpected error in the middle of a stream")
                request[OUTCOME] = Unexpected.code
                _end_with(Unexpected(), relay.body)
            finally:
                request[SENT] = relay.body.sent if relay.body else 0
            await _finish(request, response, relay)
        return response

    async def whole(self, call: Call) -> bytes:
        """One object, complete. Raises OllamaSpaceError."""
        with self.streams.open() as relay, relay.heed():
            return await self._asked_twice(relay, lambda: self._whole(call))

    async def _relay(self, request: web.Request, response: web.StreamResponse, call: Call, relay: Relay) -> None:
        with relay.heed():
            begun = await self._asked_twice(relay, lambda: self._begin(call))
        # Closing is what makes the engine stop: it would work on for a reader that merely stops listening.
        with contextlib.closing(begun.reply):
            with relay.heed():
                await response.prepare(request)
                relay.body = Chunked(request)
                relay.body.write(begun.first)
                await self._copy(begun, relay)
            relay.deadline = math.inf
            await _leave_reusable(begun.reply)

    async def _asked_twice(self, relay: Relay, ask: Callable[[], Awaitable[T]]) -> T:
        """An engine that dies before anything was sent to the reader is asked once more, silently."""
        for last_try in (False, True):
            await self.engine.ready(self.hold)
            relay.deadline = time.monotonic() + self.streams.first_byte
            try:
                answer = await ask()
            except EngineCrashed:
                if last_try:
                    raise
                log.info("the engine died before its first byte; asking once more")
                relay.deadline = math.inf
                await self.engine.doubted()
            else:
                self.streams.stalls_in_a_row = 0
                return answer
        raise AssertionError("the second try returns or raises")

    async def _begin(self, call: Call) -> Begun:
        """A reply that has said its first line."""
        reply = await self._post(call)
        try:
            lines = ndjson.Lines()
            first = b""
            while not first and lines.error is None and (chunk := await _read(reply.content)):
                first = lines.feed(chunk)
            first = first or lines.end()
            if not first:
                _check_end(lines)
            if not first.startswith(b"{"):
                raise EngineError("The engine answered with something else than JSON.")
            return Begun(reply, lines, first)
        except BaseException:
            reply.close()
            raise

    async def _whole(self, call: Call) -> bytes:
        reply = await self._post(call)
        with contextlib.closing(reply):
            body = bytearray()
            while chunk := await _read(reply.content):
                body += chunk
                if len(body) > _MOST_OF_A_WHOLE_REPLY:
                    raise EngineError("The engine's answer is too large.")
        return _whole_answer(bytes(body))

    async def _post(self, call: Call) -> aiohttp.ClientResponse:
        reply = await self.client.post(call.path, call.body, headers.to_engine(REQUEST_ID.get() or "-"))
        if reply.status == 200:
            return reply
        with contextlib.closing(reply):
            body = b""
            while len(body) < _MOST_OF_A_REFUSAL and (chunk := await _read(reply.content)):
                body += chunk
        log.info("the engine refused with %d", reply.status)
        if refusals.is_unknown_model(reply.status, body):
            raise await call.unknown_model()
        raise refusals.refusal(reply.status, body)

    async def _copy(self, begun: Begun, relay: Relay) -> None:
        """The hot path: one turn of this loop a token."""
        read, lines, body = begun.reply.content.readany, begun.lines, relay.body
        streams, stall, monotonic = self.streams, self.streams.stall, time.monotonic
        assert body is not None
        relay.deadline = monotonic() + stall
        try:
            while not lines.finished and lines.error is None and (chunk := await read()):
                relay.deadline = monotonic() + stall
                streams.stalls_in_a_row = 0
                if whole := lines.feed(chunk):
                    body.write(whole)
        except aiohttp.ClientError as error:
            raise _crashed() from error
        if rest := lines.end():
            body.write(rest)
        _check_end(lines)


async def _read(content: aiohttp.StreamReader) -> bytes:
    try:
        return await content.readany()
    except aiohttp.ClientError as error:
        raise _crashed() from error


async def _leave_reusable(reply: aiohttp.ClientResponse) -> None:
    """Take the end of a reply whose final line has been passed on; what an engine says beyond it is nobody's."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(_LAST_CHUNK_WITHIN):
            while await reply.content.readany():
                pass


async def _finish(request: web.Request, response: web.StreamResponse, relay: Relay) -> None:
    """Returns when the reader has everything, or was dropped because it takes nothing."""
    try:
        if relay.body is not None and not relay.body.aborted:
            await response.write_eof()
    finally:
        if relay.body is not None and relay.body.aborted:
            request[OUTCOME] = ReaderTooSlow.code


def _crashed() -> EngineCrashed:
    return EngineCrashed("The engine stopped in the middle of this answer.")


def _check_end(lines: ndjson.Lines) -> None:
    """Raises for an end that is none."""
    if lines.finished:
        return
    if lines.error is not None:
        raise refusals.failure(lines.error)
    raise EndedEarly(_NO_FINAL_LINE)


def _whole_answer(body: bytes) -> bytes:
    """The one object in a reply that was not streamed. Raises EngineError for anything else."""
    if ndjson.is_final(body):
        return body
    if body.lstrip().startswith(b'{"error"'):
        raise refusals.failure(body.decode("utf-8", "replace"))
    raise EndedEarly(_NO_FINAL_LINE)


def _end_with(error: OllamaSpaceError, body: Chunked) -> None:
    """The last line of a stream that has begun, unless its reader is the reason why it ends."""
    try:
        if isinstance(error, ReaderTooSlow):
            raise error
        log.log(logging.ERROR if isinstance(error, Unexpected) else logging.WARNING, "a stream ended: %s", error)
        body.write(ndjson.error_line(error))
    except ReaderTooSlow as slow:
        log.info("dropped a reader: %s", slow)
        body.abort()
