"""Readers: opens streams one after the other, ages every token it gets, prints one JSON object.

`python -m bench.load '{"url":...}'`; a process of its own, so that what it costs is not counted as the relay's. It
trusts nobody: a stream is complete only when every token, the final record of its dialect and the terminal chunk
have come.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

TOKEN = re.compile(rb'"content":"(\d{20})"')
"""The same words in both dialects."""
LAST_CHUNK = 0


@dataclass(frozen=True)
class Order:
    """What to open. Times are seconds."""

    port: int
    path: str
    key: str
    streams: int
    rate: int
    tokens: int
    apart: float
    limit: float

    @property
    def openai(self) -> bool:
        return self.path.startswith("/v1/")

    @property
    def final(self) -> bytes:
        """Stands in the last record of a complete stream, and in no other."""
        return b"data: [DONE]\n" if self.openai else b'"done":true'

    def request(self) -> bytes:
        length = {"max_tokens": self.tokens} if self.openai else {"options": {"num_predict": self.tokens}}
        asked = {"model": f"tokens:{self.rate}", "messages": [{"role": "user", "content": "Count."}], "stream": True}
        body = json.dumps(asked | length).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Reader(asyncio.Protocol):
    """One stream: takes the response out of its chunks as it comes."""

    def __init__(self, request: bytes, final: bytes, ages: array[int]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.tokens = 0
        self.first_ns = 0
        self.complete = False
        self._final_mark = final
        self._final = False
        self._request = request
        self._ages = ages
        self._asked_ns = time.monotonic_ns()
        self._raw = b""
        self._line = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but ancestry
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        raw = self._raw + data if self._raw else data
        if not self.status:
            head, border, rest = raw.partition(b"\r\n\r\n")
            if not border:
                self._raw = raw
                return
            self.status = int(head[9:12])
            raw = rest
        self._dechunk(raw, now)

    def _dechunk(self, raw: bytes, now: int) -> None:
        at = 0
        while (end := raw.find(b"\r\n", at)) >= 0:
            size = int(raw[at:end].partition(b";")[0], 16)
            start = end + 2
            if len(raw) < start + size + 2:
                break
            if size == LAST_CHUNK:
                self.complete = self._final and self.status == 200
                self._transport.close()
                return
            self._read(raw[start : start + size], now)
            at = start + size + 2
        self._raw = raw[at:]

    def _read(self, text: bytes, now: int) -> None:
        if self._line:
            text = self._line + text
        whole = text.rfind(b"\n") + 1
        self._line = text[whole:]
        for stamp in TOKEN.findall(text, 0, whole):
            if not self.tokens:
                self.first_ns = now - self._asked_ns
            self.tokens += 1
            self._ages.append(now - int(stamp))
        if self._final_mark in text[:whole]:
            self._final = True


def percentile(values: Sequence[int], share: float) -> float:
    """In milliseconds; values are nanoseconds. Nearest rank."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6, 3) if ordered else float("nan")


@dataclass(frozen=True)
class Outcome:
    """Times are milliseconds."""

    complete: int
    tokens: int
    first_p50: float
    first_p99: float
    age_p50: float
    age_p99: float


async def _open(reader: Reader, port: int) -> None:
    await asyncio.get_running_loop().create_connection(lambda: reader, "127.0.0.1", port)


async def run(order: Order) -> Outcome:
    loop = asyncio.get_running_loop()
    request = order.request()
    ages = array("q")
    start = loop.time()
    readers: list[Reader] = []
    connecting: list[asyncio.Task[None]] = []
    for number in range(order.streams):
        await asyncio.sleep(start + number * order.apart - loop.time())
        reader = Reader(request, order.final, ages)
        readers.append(reader)
        connecting.append(asyncio.create_task(_open(reader, order.port)))
    await asyncio.gather(*connecting)
    await asyncio.wait([reader.done for reader in readers], timeout=order.limit)
    firsts = [reader.first_ns for reader in readers if reader.first_ns]
    return Outcome(
        complete=sum(reader.complete and reader.tokens == order.tokens for reader in readers),
        tokens=sum(reader.tokens for reader in readers),
        first_p50=percentile(firsts, 0.5),
        first_p99=percentile(firsts, 0.99),
        age_p50=percentile(ages, 0.5),
        age_p99=percentile(ages, 0.99),
    )


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(run(Order(**json.loads(sys.argv[1])))))))
