"""The copy loop: from the engine's reply to the reader's response, whole records as they come.

Which bytes make a record, and which record is the last, is the wire's affair (`dialects`). Nothing is parsed or changed
that need not be. Failures are blamed on the side that was being used: only what goes wrong while reading is the
engine's. A stream that has begun never ends without a final record or an error record.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import aiohttp
from aiohttp import web

from ollamaspace.access.identify import IDENTITY
from ollamaspace.dialects import refusals
from ollamaspace.dialects.wire import Splitter, Tokens, Wire, ended_early
from ollamaspace.engine.client import EngineClient
from ollamaspace.errors import EngineCrashed, EngineError, OllamaSpaceError, ReaderTooSlow, Unexpected
from ollamaspace.gateway import headers
from ollamaspace.gateway.model_names import full_name
from ollamaspace.gateway.pulse import Pulse
from ollamaspace.gateway.streams import Chunked, Relay, Streams
from ollamaspace.logs import REQUEST_ID

log = logging.getLogger("ollamaspace.gateway")

_MOST_OF_A_REFUSAL = 64 * 1024
_MOST_OF_A_WHOLE_REPLY = 16 * 1024 * 1024
_LAST_CHUNK_WITHIN = 0.5

OUTCOME = web.RequestKey("outcome", str)
"""How a stream ended, for the access log: `done` or the code of an error."""
SENT = web.RequestKey("sent", int)
TOKENS: web.RequestKey[Tokens] = web.RequestKey("tokens", Tokens)
"""What the answer cost; absent where the engine did not say."""
MODEL: web.RequestKey[str] = web.RequestKey("model", str)
"""The full name of the model that was asked."""
WAITED: web.RequestKey[float] = web.RequestKey("waited", float)
"""Seconds in the queue before the engine was asked."""
SPAN: web.RequestKey[tuple[float, float]] = web.RequestKey("span", tuple)
"""Monotonic times of a stream's first and last record."""


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
    wire: Wire
    unknown_model: Callable[[], Awaitable[OllamaSpaceError]]
    method: str = "POST"
    patience: float | None = None
    """Seconds of silence to bear in the middle of the reply; None: as many as ever."""
    model: str | None = None
    """The one whose answer is counted; None where none answers."""


class Begun(NamedTuple):
    """A reply that has begun: its first whole records, and the splitter that holds the rest."""

    reply: aiohttp.ClientResponse
    records: Splitter
    first: bytes


@dataclass(frozen=True, slots=True)
class Forwarder:
    """Sends calls to the engine and copies what comes back. `hold` is in seconds."""

    client: EngineClient
    engine: Engine
    streams: Streams
    hold: float

    async def stream(self, request: web.Request, call: Call, told: Mapping[str, str]) -> web.StreamResponse:
        """Record by record, with `told` among the headers. Raises OllamaSpaceError while no status was sent."""
        response = web.StreamResponse(headers={**headers.of_stream(call.wire.content_type), **told})
        with self.streams.open(request[IDENTITY].id) as relay:
            if call.wire.comment:
                relay.pulse = Pulse(call.wire.comment, lambda: _begun(request, response, relay))
            try:
                await self._relay(request, response, call, relay)
                request[OUTCOME] = "done"
            except OllamaSpaceError as error:
                if relay.body is None:
                    raise
                request[OUTCOME] = error.code
                _end_with(error, call.wire, relay.body)
            except Exception:  # a fault of ours must not end a stream without a word, nor begin a second response in it
                if relay.body is None:
                    raise
                log.exception("unexpected error in the middle of a stream")
                request[OUTCOME] = Unexpected.code
                _end_with(Unexpected(), call.wire, relay.body)
            finally:
                request[SENT] = relay.body.sent if relay.body else 0
            await _finish(request, response, relay)
        return response

    async def whole(self, request: web.Request, call: Call) -> bytes:
        """One object, complete. Raises OllamaSpaceError."""
        with self.streams.open(request[IDENTITY].id) as relay, relay.heed():
            body = await self._asked_twice(relay, lambda: self._whole(call))
        _note_model(request, call)
        _count(request, call, body)
        return body

    async def _relay(self, request: web.Request, response: web.StreamResponse, call: Call, relay: Relay) -> None:
        with relay.heed():
            begun = await self._asked_twice(relay, lambda: self._begin(call))
        _note_model(request, call)
        # Closing is what makes the engine stop: it would work on for a reader that merely stops listening.
        with contextlib.closing(begun.reply):
            with relay.heed():
                body = await _begun(request, response, relay)
                relay.patience = self.streams.stall if call.patience is None else call.patience
                began = time.monotonic()
                body.write(begun.first)
                await self._copy(begun, relay, body)
                request[SPAN] = began, time.monotonic()
                _count(request, call, begun.records.figures)
            relay.deadline = math.inf
            await _leave_reusable(begun.reply)

    async def _asked_twice(self, relay: Relay, ask: Callable[[], Awaitable[T]]) -> T:
        """An engine that dies before anything was sent to the reader is asked once more, silently."""
        for last_try in (False, True):
            await self.engine.ready(self.hold)
            relay.deadline = time.monotonic() + self.streams.first_byte
            if relay.pulse is not None:
                relay.pulse.asked()
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
        """A reply that has said its first record."""
        reply = await self._sent(call)
        try:
            records = call.wire.splitter()
            first = b""
            while not first and records.error is None and (chunk := await _read(reply.content)):
                first = records.feed(chunk)
            first = first or records.end()
            if not first:
                _check_end(records)
            if not first.startswith(call.wire.begins):
                raise EngineError("The engine answered with something that was not asked for.")
            return Begun(reply, records, first)
        except BaseException:
            reply.close()
            raise

    async def _whole(self, call: Call) -> bytes:
        reply = await self._sent(call)
        with contextlib.closing(reply):
            body = bytearray()
            while chunk := await _read(reply.content):
                body += chunk
                if len(body) > _MOST_OF_A_WHOLE_REPLY:
                    raise EngineError("The engine's answer is too large.")
        return call.wire.whole(bytes(body))

    async def _sent(self, call: Call) -> aiohttp.ClientResponse:
        sent = headers.to_engine(REQUEST_ID.get() or "-") | {"Accept": call.wire.content_type}
        reply = await self.client.send(call.method, call.path, call.body, sent)
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

    async def _copy(self, begun: Begun, relay: Relay, body: Chunked) -> None:
        """The hot path: one turn of this loop a token."""
        read, records = begun.reply.content.readany, begun.records
        streams, patience, monotonic = self.streams, relay.patience or 0.0, time.monotonic
        relay.deadline = monotonic() + patience
        try:
            while not records.finished and records.error is None and (chunk := await read()):
                relay.deadline = monotonic() + patience
                streams.stalls_in_a_row = 0
                if whole := records.feed(chunk):
                    body.write(whole)
        except aiohttp.ClientError as error:
            raise _crashed() from error
        if rest := records.end():
            body.write(rest)
        _check_end(records)


async def _begun(request: web.Request, response: web.StreamResponse, relay: Relay) -> Chunked:
    """Sends the head of the response, unless that was done; from now on errors are records."""
    if relay.body is None:
        await response.prepare(request)
        relay.body = Chunked(request)
    return relay.body


def _count(request: web.Request, call: Call, figures: bytes) -> None:
    if (spent := call.wire.tokens(figures)) is not None:
        request[TOKENS] = spent


def _note_model(request: web.Request, call: Call) -> None:
    """It answers, so it exists: names that callers make up are not counted."""
    if call.model is not None:
        request[MODEL] = full_name(call.model)


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


def _check_end(records: Splitter) -> None:
    """Raises for an end that is none."""
    if records.finished:
        return
    if records.error is not None:
        raise refusals.failure(records.error)
    raise ended_early()


def _end_with(error: OllamaSpaceError, wire: Wire, body: Chunked) -> None:
    """The last record of a stream that has begun, unless its reader is the reason why it ends."""
    try:
        if isinstance(error, ReaderTooSlow):
            raise error
        log.log(logging.ERROR if isinstance(error, Unexpected) else logging.WARNING, "a stream ended: %s", error)
        body.write(wire.error_record(error))
    except ReaderTooSlow as slow:
        log.info("dropped a reader: %s", slow)
        body.abort()
