"""One generation: its tokens, their pace, its final line. How it may go wrong instead stands in `endings`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import cycle, islice

from tests.fake_engine.decode import Object, Stage
from tests.fake_engine.dialect import Answer, Dialect, Order, Totals, random_name
from tests.fake_engine.engine import Engine
from tests.fake_engine.scenario import Scenario
from tests.fake_engine.wire import Reply

CONTENT = ("An", " answer", " of", " the", " fake", " engine", ".")
THINKING = ("Let", " me", " think", ".")
LOOKING = ("I", " will", " look", ".")


class RunnerDied(Exception):
    """The grandchild that stands for llama-server is gone."""


@dataclass(frozen=True)
class Part:
    kind: str
    """``content``, ``thinking`` or ``tool``."""
    text: str = ""


def plan(order: Order, scenario: Scenario) -> list[Part]:
    """All that the model would say, were it not for the limit."""
    calls = bool(order.tools) and not order.answers_tool and scenario.tokens is None
    thinks = order.think and not order.tools and not order.answers_tool
    thinking = (THINKING if thinks else ()) if scenario.thinking is None else scenario.thinking
    words = scenario.tokens or (LOOKING if calls else CONTENT)
    if scenario.token_count is not None:
        words = tuple(islice(cycle(words), scenario.token_count))
    padded = [word.ljust(scenario.token_bytes, "x") for word in words]
    parts = [*(Part("thinking", word) for word in thinking), *(Part("content", word) for word in padded)]
    return [*parts, Part("tool")] if calls else parts


def tool_call(order: Order) -> Object:
    function = order.tools[0].get("function") or {}
    names = ((function.get("parameters") or {}).get("properties") or {}).keys()
    asked = {"index": 0, "name": function.get("name", ""), "arguments": dict.fromkeys(names, "Paris")}
    return {"id": f"call_{random_name(8)}", "function": asked}


class Generation:
    def __init__(self, engine: Engine, dialect: Dialect, reply: Reply) -> None:
        self.engine = engine
        self.scenario = engine.scenario
        self.dialect = dialect
        self.order = dialect.order
        self.reply = reply
        self.answer = Answer()
        everything = plan(self.order, self.scenario)
        self.parts = everything[: self.order.limit]
        self.reason = "length" if self.order.limit and self.order.limit <= len(everything) else "stop"
        self._begun = time.monotonic_ns()
        self._first: int | None = None

    async def tokens(self, parts: list[Part]) -> None:
        """Raises RunnerDied."""
        due = time.monotonic()
        for part in parts:
            if self.scenario.runner and not self.engine.runner.alive():
                raise RunnerDied
            await self._send(part)
            due += self.scenario.interval
            await asyncio.sleep(max(0.0, due - time.monotonic()) if self.scenario.interval else 0)

    async def final_line(self) -> None:
        """Without the last chunk when streaming; the whole answer otherwise."""
        if self.order.stream:
            await self.write(self.dialect.final(self._totals()))
        else:
            await self.reply.whole(200, self.dialect.whole(self.answer, self._totals()), self.dialect.whole_media)

    async def no_final_line(self) -> None:
        if self.order.stream:
            await self.write([])
        else:
            await self.reply.whole(200, self.dialect.whole(self.answer, None), self.dialect.whole_media)

    async def break_off(self, status: int, text: str) -> None:
        """The model's side fails: a status as long as nothing was sent, else what the dialect makes of it."""
        if self.reply.status:
            await self.write(self.dialect.broken(text))
            return
        media, body = self.dialect.refusal(status, text, Stage.ANSWER)
        if self.order.stream:
            await self.reply.start(status, media, self.dialect.stream_headers)
            await self.reply.chunk(body)
        else:
            await self.reply.whole(status, body, media)

    async def write(self, chunks: list[bytes]) -> None:
        if not self.order.stream:
            return
        if not self.reply.status:
            await self.reply.start(200, self.dialect.stream_media, self.dialect.stream_headers)
        for chunk in chunks:
            await self.reply.chunk(chunk)

    async def end(self) -> None:
        if self.order.stream:
            await self.reply.end()

    async def _send(self, part: Part) -> None:
        if self._first is None:
            self._first = time.monotonic_ns()
        self.reply.tokens += 1
        if part.kind == "tool":
            self.answer.call = tool_call(self.order)
            await self.write(self.dialect.tool(self.answer.call))
        else:
            self._remember(part)
            await self.write(self.dialect.token(part.kind, part.text))

    def _remember(self, part: Part) -> None:
        self.answer.tokens.append(part.text)
        if part.kind == "content":
            self.answer.content += part.text
        else:
            self.answer.thinking += part.text

    def _totals(self) -> Totals:
        now = time.monotonic_ns()
        first = self._first or now
        return Totals(
            reason=self.reason,
            prompt_tokens=self.scenario.prompt_tokens,
            tokens=self.reply.tokens,
            total=now - self._begun,
            load=1_000_000,
            reading=max(1, first - self._begun),
            writing=max(1, now - first),
        )
