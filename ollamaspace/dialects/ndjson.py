"""Ollama's stream: one JSON object a line, the last with `"done":true`, or `{"error":…}` under status 200.

Only whole lines are given out. An unfinished tail is held and never given out unless its end arrives. A line that is
an error is held back too, because the reader gets ours in its place, and so is whatever follows a final record.
"""

from __future__ import annotations

import json
from typing import Any

from ollamaspace.errors import EngineError, OllamaSpaceError

CONTENT_TYPE = "application/x-ndjson"
_MAX_LINE = 8 * 1024 * 1024  # Ollama's own client allows as much (api/client.go, maxBufferSize)
_ERROR = b'{"error"'
_ERROR_AFTER = b"\n" + _ERROR
_NEWLINE = 10


class Lines:
    """Feed it chunks as they come. `error` is the engine's own error line once one was seen, as it came.

    `finished` says that the final record has been there.
    """

    __slots__ = ("_tail", "error", "finished")

    def __init__(self) -> None:
        self._tail = bytearray()
        self.error: str | None = None
        self.finished = False

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
        if b"true" in chunk:
            chunk = self._up_to_final(chunk)
        return chunk

    def end(self) -> bytes:
        """What may still be passed on after a reply that ended in good order: a last line that lacks its newline."""
        tail = bytes(self._tail)
        self._tail.clear()
        return self.feed(tail + b"\n") if _object(tail) is not None else b""

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
            if b'"done"' in line and b"true" in line and is_final(line):
                self.finished = True
                break
        return chunk[:passed]

    def _before_error(self, chunk: bytes) -> bytes:
        start = 0 if chunk.startswith(_ERROR) else chunk.index(_ERROR_AFTER) + 1
        self.error = chunk[start:].partition(b"\n")[0].decode("utf-8", "replace")
        return chunk[:start]


def is_final(line: bytes) -> bool:
    record = _object(line)
    return record is not None and record.get("done") is True


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def error_line(error: OllamaSpaceError) -> bytes:
    return error_body(error) + b"\n"


def error_body(error: OllamaSpaceError) -> bytes:
    """`{"error": sentence, "code": word}`, the form that Ollama's clients understand too."""
    return json.dumps({"error": str(error), "code": error.code}, ensure_ascii=False).encode("utf-8", "replace")
