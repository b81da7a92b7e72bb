"""Ollama's stream: one JSON object a line, the last with `"done":true`, or `{"error":…}` under status 200.

Only whole lines are given out. An unfinished tail is held and never given out unless its end arrives. A line that is
an error is held back too: the reader gets ours in its place.
"""

from __future__ import annotations

import json

from ollamaspace.errors import EngineError, OllamaSpaceError

CONTENT_TYPE = "application/x-ndjson"
_MAX_LINE = 8 * 1024 * 1024  # Ollama's own client allows as much (api/client.go, maxBufferSize)
_ERROR = b'{"error"'
_ERROR_AFTER = b"\n" + _ERROR
_NEWLINE = 10


class Lines:
    """Feed it chunks as they come. `error` is the engine's own error line, decoded, once one was seen."""

    __slots__ = ("_last", "_tail", "error")

    def __init__(self) -> None:
        self._tail = b""
        self._last = b""
        self.error: str | None = None

    def feed(self, chunk: bytes) -> bytes:
        """The whole lines that may be passed on, if there are any yet. Raises EngineError for a line without an end."""
        # Nearly every chunk is one whole line: that case costs one comparison and two searches.
        if self._tail or chunk[-1] != _NEWLINE:
            chunk = self._join(chunk)
            if not chunk:
                return chunk
        if chunk.startswith(_ERROR) or _ERROR_AFTER in chunk:
            return self._before_error(chunk)
        self._last = chunk
        return chunk

    @property
    def finished(self) -> bool:
        """Whether the final record has been there, and nothing was left unfinished after it."""
        line = self._last.rstrip(b"\n").rpartition(b"\n")[2]
        return not self._tail and is_final(line)

    def _join(self, chunk: bytes) -> bytes:
        whole, newline, tail = (self._tail + chunk).rpartition(b"\n")
        if len(tail) > _MAX_LINE:
            raise EngineError("The engine sent a line without an end.")
        self._tail = tail
        return whole + newline

    def _before_error(self, chunk: bytes) -> bytes:
        start = 0 if chunk.startswith(_ERROR) else chunk.index(_ERROR_AFTER) + 1
        line = chunk[start:].partition(b"\n")[0]
        try:
            self.error = str(json.loads(line)["error"])
        except (ValueError, TypeError):
            self.error = "The engine sent an error that cannot be read."
        return chunk[:start]


def is_final(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict) and record.get("done") is True


def error_line(error: OllamaSpaceError) -> bytes:
    return error_body(error) + b"\n"


def error_body(error: OllamaSpaceError) -> bytes:
    """`{"error": sentence, "code": word}`, the form that Ollama's clients understand too."""
    return json.dumps({"error": str(error), "code": error.code}, ensure_ascii=False).encode()
