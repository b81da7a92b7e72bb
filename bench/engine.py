"""An engine that costs next to nothing: Ollama's API with invented tokens at an exact rate.

It runs as Ollama does (`<binary> serve`, OLLAMA_HOST in the environment), so it can be supervised as well as proxied.
Model `tokens:N` says N tokens a second, the first at once, `options.num_predict` in all, one chunk a token. The text
of a token is the monotonic clock in nanoseconds when it was written; that clock is the same for every process of the
machine, so whoever reads it knows the token's age. It never looks at what was asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any, cast

import uvloop

RATES = (1, 5, 50, 200)
DEFAULT_TOKENS = 100
STAMP = "%020d"
CREATED = "2026-01-01T00:00:00.000000000Z"


def _details(rate: int) -> dict[str, Any]:
    details = {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "1B",
        "quantization_level": "Q4_0",
    }
    name = f"tokens:{rate}"
    return {
        "name": name,
        "model": name,
        "modified_at": CREATED,
        "size": 1,
        "digest": f"{rate:064x}",
        "details": details,
    }


def _show(rate: int) -> dict[str, Any]:
    about = {"general.architecture": "llama", "llama.context_length": 8192}
    return {
        "details": _details(rate)["details"],
        "model_info": about,
        "capabilities": ["completion"],
        "modified_at": CREATED,
    }


ANSWERS: dict[tuple[bytes, bytes], dict[str, Any]] = {
    (b"GET", b"/api/version"): {"version": "0.34.2"},
    (b"GET", b"/api/tags"): {"models": [_details(rate) for rate in RATES]},
    (b"GET", b"/api/ps"): {"models": []},
    (b"POST", b"/api/show"): _show(RATES[0]),
}


def _plain(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def _chunk(line: str) -> bytes:
    return b"%x\r\n%b\n\r\n" % (len(line) + 1, line.encode())


def _token_chunk(model: str) -> bytes:
    """A chunk with one place left for the stamp, whose width is fixed so that the chunk's size is."""
    line = json.dumps(
        {
            "model": model,
            "created_at": CREATED,
            "message": {"role": "assistant", "content": STAMP},
            "done": False,
        },
        separators=(",", ":"),
    )
    framed = _chunk(line % 0)
    return framed.replace((STAMP % 0).encode(), STAMP.encode())


def _last_chunks(model: str, tokens: int) -> bytes:
    figures = {"total_duration": 1, "load_duration": 1, "prompt_eval_count": 1, "prompt_eval_duration": 1}
    record = {
        "model": model,
        "created_at": CREATED,
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        **figures,
        "eval_count": tokens,
        "eval_duration": 1,
    }
    return _chunk(json.dumps(record, separators=(",", ":"))) + b"0\r\n\r\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"


class Conversation(asyncio.Protocol):
    """One connection; requests follow one another, a stream is one timer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._received = b""
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._left = 0
        self._due = 0.0
        self._interval = 0.0
        self._chunk = b""
        self._last = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but ancestry

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, border, rest = self._received.partition(b"\r\n\r\n")
        if not border:
            return
        length = _content_length(head)
        if len(rest) < length:
            return
        self._received = rest[length:]
        self._answer(head, rest[:length])

    def _answer(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
        if (method, path) == (b"POST", b"/api/chat"):
            self._stream(json.loads(body))
        elif (method, path) in ANSWERS:
            self._transport.write(_plain(b"200 OK", json.dumps(ANSWERS[method, path]).encode()))
        else:
            self._transport.write(_plain(b"404 Not Found", b'{"error":"not found"}'))

    def _stream(self, asked: dict[str, Any]) -> None:
        model = asked["model"]
        tokens = (asked.get("options") or {}).get("num_predict", DEFAULT_TOKENS)
        self._left = tokens
        self._interval = 1 / int(model.partition(":")[2])
        self._chunk = _token_chunk(model)
        self._last = _last_chunks(model, tokens)
        self._due = self._loop.time()
        self._transport.write(HEAD)
        self._say()

    def _say(self) -> None:
        self._transport.write(self._chunk % time.monotonic_ns())
        self._left -= 1
        self._due += self._interval
        self._timer = self._loop.call_at(self._due, self._say if self._left else self._end)

    def _end(self) -> None:
        self._timer = None
        self._transport.write(self._last)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def serve(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Conversation(loop), host, port, backlog=2048)
    await stop.wait()
    server.close()


def main() -> None:
    if sys.argv[1:] != ["serve"]:
        sys.exit("usage: OLLAMA_HOST=127.0.0.1:PORT engine.py serve")
    host, _, port = os.environ["OLLAMA_HOST"].rpartition(":")
    uvloop.run(serve(host.removeprefix("http://"), int(port)))


if __name__ == "__main__":
    main()
