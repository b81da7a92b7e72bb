"""What the fake engine was asked for, and how an answer to it is written down.

A dialect turns tokens into chunks and does nothing else: no time, no connection, no misbehaviour.
"""

from __future__ import annotations

import json
import random
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.fake_engine.decode import Object, Stage
from tests.fake_engine.wire import Headers

JSON_UTF8 = "application/json; charset=utf-8"
JSON = "application/json"
EVENTS = "text/event-stream"

ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
"""Go escapes these inside JSON."""


@dataclass
class Order:
    """One generation, the same whatever surface it was asked through."""

    model: str
    stream: bool
    fields: Object
    """The decoded body."""
    think: bool | None = None
    tools: list[Object] = field(default_factory=list)
    prompt: str = ""
    limit: int | None = None
    """Tokens at most."""
    answers_tool: bool = False
    """The last turn is a tool's result, so no tool is called again."""


@dataclass
class Totals:
    """What the final line tells. Durations in nanoseconds."""

    reason: str
    prompt_tokens: int
    tokens: int
    total: int
    load: int
    reading: int
    writing: int


@dataclass
class Answer:
    content: str = ""
    thinking: str = ""
    call: Object | None = None
    tokens: list[str] = field(default_factory=list)


class Dialect(ABC):
    stream_media: ClassVar[str] = EVENTS
    stream_headers: ClassVar[Headers] = []
    whole_media: ClassVar[str] = JSON

    def __init__(self, order: Order) -> None:
        self.order = order
        self.begun = False

    @abstractmethod
    def token(self, kind: str, text: str) -> list[bytes]:
        """`kind` is ``content`` or ``thinking``; one item a chunk."""

    @abstractmethod
    def tool(self, call: Object) -> list[bytes]: ...

    @abstractmethod
    def final(self, totals: Totals) -> list[bytes]: ...

    @abstractmethod
    def broken(self, text: str) -> list[bytes]:
        """What a failure after the first token looks like on this surface."""

    @abstractmethod
    def whole(self, answer: Answer, totals: Totals | None) -> bytes:
        """Not streamed; `totals` is None where the final line is missing."""

    @abstractmethod
    def refusal(self, status: int, text: str, stage: Stage) -> tuple[str, bytes]:
        """Media type and body."""


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(ESCAPES)


def encode(value: Any) -> bytes:
    """Characters that stand for invalid bytes (``\\udc80`` and up) become those bytes."""
    return dumps(value).encode("utf-8", "surrogateescape")


def now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"


def random_name(length: int) -> str:
    return "".join(random.choices("0123456789abcdef", k=length))
