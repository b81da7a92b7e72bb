"""Ollama's stream: one JSON object a line, the last with `"done":true`, or `{"error":…}` under status 200.

Only whole lines are given out. An unfinished tail is held and never given out unless its end arrives. A line that is
an error is held back too, because the reader gets ours in its place, and so is whatever follows a final record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

from ollamaspace.dialects.wire import record
from ollamaspace.errors import EngineError, OllamaSpaceError

CONTENT_TYPE = "application/x-ndjson"
_MAX_LINE = 8 * 1024 * 1024  # Ollama's own client allows as much (api/client.go, maxBufferSize)
_ERROR = b'{"error"'
_ERROR_AFTER = b"\n" + _ERROR
_NEWLINE = 10


class Lines:
    """A `wire.Splitter` of answers. `error` is the engine's own error line once one was seen, as it came."""

    __slots__ = ("_tail", "error", "figures", "finished")

    mark: ClassVar[bytes] = b"true"
    """Stands in every final record, and in few others."""

    def __init__(self) -> None:
        self._tail = bytearray()
        self.error: str | None = None
        self.finished = False
        self.figures = b""

    def is_final(self, line: bytes) -> bool:
        return b'"done"' in line and is_final(line)

    def feed(self, chunk: bytes) -> bytes:
        """The whole lines that may be passed on, if there are any yet. Raises EngineError for a line without an end."""
        if self.finished:
            return b""
        # Nearly every chunk is one whole line: that case costs three searches in it and no copy.
        if self._tail or chunk[-1] != _NEWLINE:
            chunk = self._join(chunk)
            if not chunk:
                return chunk
        if chunk.startswith(_ERROR) or _ERROR_AFTER in chunk:
            chunk = self._before_error(chunk)
        if self.mark in chunk:
            chunk = self._up_to_final(chunk)
        return chunk

    def end(self) -> bytes:
        """What may still be passed on after a reply that ended in good order: a last line that lacks its newline."""
        tail = bytes(self._tail)
        self._tail.clear()
        return self.feed(tail + b"\n") if record(tail) is not None else b""

    def _join(self, chunk: bytes) -> bytes:
        whole, newline, rest = chunk.rpartition(b"\n")
        if newline:
            whole = bytes(self._tail) + whole + newline
            self._tail.clear()
        self._tail += rest
        if len(self._tail) > _MAX_LINE:
            raise EngineError("The engine sent a line without an end.")
        return whole

    def _up_to_final(self, chunk: bytes) -> bytes:
        """Drops what follows the final record; only lines that can be one are parsed."""
        passed = 0
        for line in chunk.splitlines(keepends=True):
            passed += len(line)
            if self.mark in line and self.is_final(line):
                self.finished, self.figures = True, line
                break
        return chunk[:passed]

    def _before_error(self, chunk: bytes) -> bytes:
        start = 0 if chunk.startswith(_ERROR) else chunk.index(_ERROR_AFTER) + 1
        self.error = chunk[start:].partition(b"\n")[0].decode("utf-8", "replace")
        return chunk[:start]


class Progress(Lines):
    """Of a pull or a creation, whose last line is ``{"status":"success"}``."""

    __slots__ = ()

    mark = b'"success"'

    def is_final(self, line: bytes) -> bool:
        return is_success(line)


def is_final(line: bytes) -> bool:
    return (record(line) or {}).get("done") is True


def is_success(line: bytes) -> bool:
    return (record(line) or {}).get("status") == "success"


def line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def error_line(error: OllamaSpaceError) -> bytes:
    return error_body(error) + b"\n"


def error_body(error: OllamaSpaceError) -> bytes:
    """`{"error": sentence, "code": word}`, the form that Ollama's clients understand too."""
    return json.dumps({"error": str(error), "code": error.code}, ensure_ascii=False).encode("utf-8", "replace")
