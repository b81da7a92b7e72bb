"""The engine's stdout and stderr: always drained, never trusted.

An engine whose pipe is full stands still, so bytes are read whatever happens to them afterwards: lines are cut at
8 KiB, the last 200 are kept, and what goes on into our log is limited in rate. Ollama writes slog lines with a
`level=` on stderr, `[GIN]` access lines on stdout, and its runner's output as it comes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections import deque

from ollamaspace.logs import escaped

log = logging.getLogger("ollamaspace.engine")

_LINE = 8192
_KEPT = 200
_BURST, _PER_SECOND = 200, 50

_LEVEL = re.compile(r"\blevel=(\w+)")
_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}
# Ollama's first line shows its environment, a proxy's password included.
_PASSWORD = re.compile(r"(://)[^/\s:@]*:[^/\s@]*@")


class Output(asyncio.Protocol):
    """Keeps `lines`, the last 200, over restarts."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT)
        self._rest = b""
        self._cut = False
        self._tokens, self._filled, self._lost = float(_BURST), time.monotonic(), 0

    async def pipe(self) -> tuple[int, asyncio.ReadTransport]:
        """A pipe of our own: the write end for the child, and the transport that drains it.

        Not asyncio's PIPE: a grandchild that inherits that one hangs `wait()` after the child is gone.
        """
        reading, writing = os.pipe()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: self, os.fdopen(reading, "rb", 0))
        return writing, transport

    def data_received(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._take(line)
        if len(self._rest) > _LINE:
            self._take(self._rest)
            self._rest, self._cut = b"", True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rest:
            self._take(self._rest)
            self._rest = b""

    def tail(self, count: int = 10) -> str:
        return "\n".join(list(self.lines)[-count:])

    def _take(self, raw: bytes) -> None:
        if self._cut:  # the rest of a line of which the beginning has been kept
            self._cut = False
            return
        line = escaped(_PASSWORD.sub(r"\1…@", raw[:_LINE].decode("utf-8", "replace").rstrip("\r")))
        if not line.strip():
            return
        self.lines.append(line)
        if self._may_log():
            log.log(_level(line), "%s", line)

    def _may_log(self) -> bool:
        now = time.monotonic()
        self._tokens = min(float(_BURST), self._tokens + (now - self._filled) * _PER_SECOND)
        self._filled = now
        if self._tokens < 1:
            self._lost += 1
            return False
        self._tokens -= 1
        if self._lost:
            log.warning("%d lines of the engine's output were not logged", self._lost)
            self._lost = 0
        return True


def _level(line: str) -> int:
    if match := _LEVEL.search(line):
        return _LEVELS.get(match[1].upper(), logging.INFO)
    return logging.ERROR if line.startswith(("Error", "panic:", "fatal error:")) else logging.DEBUG
