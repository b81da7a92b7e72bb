"""Server-sent events: only whole ones are given out, each up to and with the empty line that ends it.

An unfinished tail is held and never given out. What an event means is a dialect's affair; nearly every chunk is one
whole event that means nothing in particular, and that case costs a few searches in it and no copy.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum, auto

from ollamaspace.errors import EngineError

CONTENT_TYPE = "text/event-stream"
COMMENT = b":\n\n"
BEGINS = (b"data:", b"event:")

_BORDER = b"\n\n"
_MAX_EVENT = 8 * 1024 * 1024
_UNSAID = "The engine failed in the middle of this answer and did not say why."


class Verdict(Enum):
    PASS = auto()
    FIGURES = auto()  # passed on, and counts the tokens
    DROP = auto()  # counts the tokens; the caller did not ask for it
    FINAL = auto()
    ERROR = auto()  # says what went wrong
    LOST = auto()  # stands where the engine lost the words for what went wrong


class Events(ABC):
    """A `wire.Splitter`; a dialect says which chunks are notable and judges the events in them."""

    __slots__ = ("_tail", "error", "figures", "finished")

    def __init__(self) -> None:
        self._tail = bytearray()
        self.error: str | None = None
        self.finished = False
        self.figures = b""

    @abstractmethod
    def notable(self, chunk: bytes) -> bool:
        """Whether any event of `chunk` may be more than an ordinary one. Cheap, and wrong only towards yes."""

    @abstractmethod
    def judge(self, event: bytes) -> Verdict:
        """Of one event, without the empty line."""

    def feed(self, chunk: bytes) -> bytes:
        """The whole events that may be passed on, if any. Raises EngineError for an event without an end."""
        if self.finished or self.error is not None:
            return b""
        if self._tail or not chunk.endswith(_BORDER):
            chunk = self._join(chunk)
            if not chunk:
                return chunk
        return self._sifted(chunk) if self.notable(chunk) else chunk

    def end(self) -> bytes:
        """Nothing: an event without its empty line is none."""
        return b""

    def _join(self, chunk: bytes) -> bytes:
        tail = self._tail
        searched = max(0, len(tail) - 1)  # a border may have one foot on each side
        tail += chunk
        border = tail.rfind(_BORDER, searched)
        whole = bytes(tail[: border + 2]) if border >= 0 else b""
        del tail[: len(whole)]
        if len(tail) > _MAX_EVENT:
            raise EngineError("The engine sent an event without an end.")
        return whole

    def _sifted(self, chunk: bytes) -> bytes:
        passed = bytearray()
        for event in chunk.split(_BORDER)[:-1]:
            verdict = self.judge(event)
            if verdict in (Verdict.FIGURES, Verdict.DROP) or (verdict is Verdict.FINAL and not self.figures):
                self.figures = data(event)
            if verdict in (Verdict.ERROR, Verdict.LOST):
                self.error = data(event).decode("utf-8", "replace") if verdict is Verdict.ERROR else _UNSAID
                break
            if verdict is not Verdict.DROP:
                passed += event + _BORDER
            if verdict is Verdict.FINAL:
                self.finished = True
                break
        return bytes(passed)


def status(standing: Mapping[str, object]) -> bytes:
    """A comment, which every client passes over but one that asked for it."""
    return b": " + json.dumps(standing).encode() + _BORDER


def data(event: bytes) -> bytes:
    """What an event carries; the engine writes it in one line."""
    for line in event.split(b"\n"):
        if line.startswith(b"data:"):
            return line[5:].strip()
    return b""
