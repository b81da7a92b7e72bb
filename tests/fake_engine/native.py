"""Ollama's own dialect: /api/chat and /api/generate, one JSON object a line."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.fake_engine.decode import Object, Stage
from tests.fake_engine.dialect import JSON, JSON_UTF8, Answer, Dialect, Totals, dumps, encode, now


class Native(Dialect):
    stream_media: ClassVar[str] = "application/x-ndjson"
    whole_media: ClassVar[str] = JSON_UTF8

    def _carrier(self, content: str, **extra: Any) -> Object:
        """The part of a line that holds the words."""
        raise NotImplementedError

    def _line(self, carrier: Object, **more: Any) -> Object:
        return {"model": self.order.model, "created_at": now(), **carrier, **more}

    def _figures(self, totals: Totals, context: list[int] | None) -> Object:
        return {
            **({} if context is None else {"context": context}),
            "total_duration": totals.total,
            "load_duration": totals.load,
            "prompt_eval_count": totals.prompt_tokens,
            "prompt_eval_duration": totals.reading,
            "eval_count": totals.tokens,
            "eval_duration": totals.writing,
        }

    def _context(self, totals: Totals) -> list[int] | None:
        return None

    def token(self, kind: str, text: str) -> list[bytes]:
        carrier = self._carrier(text) if kind == "content" else self._carrier("", thinking=text)
        return [encode(self._line(carrier, done=False)) + b"\n"]

    def tool(self, call: Object) -> list[bytes]:
        return [encode(self._line(self._carrier("", tool_calls=[call]), done=False)) + b"\n"]

    def final(self, totals: Totals) -> list[bytes]:
        figures = self._figures(totals, self._context(totals))
        line = self._line(self._carrier(""), done=True, done_reason=totals.reason, **figures)
        return [encode(line) + b"\n"]

    def broken(self, text: str) -> list[bytes]:
        return [encode({"error": text}) + b"\n"]

    def whole(self, answer: Answer, totals: Totals | None) -> bytes:
        extra: Object = {"thinking": answer.thinking} if answer.thinking else {}
        if answer.call:
            extra["tool_calls"] = [answer.call]
        carrier = self._carrier(answer.content, **extra)
        if totals is None:
            return encode(self._line(carrier, done=False))
        figures = self._figures(totals, self._context(totals))
        return encode(
            self._line(carrier, done=True, done_reason=totals.reason, **self._logprobs(answer.tokens), **figures)
        )

    def _logprobs(self, tokens: list[str]) -> Object:
        if not self.order.fields.get("logprobs"):
            return {}
        others = int(self.order.fields.get("top_logprobs") or 0)
        plain = [{"token": each, "logprob": -0.25, "bytes": list(each.encode())} for each in tokens]
        return {"logprobs": [{**each, "top_logprobs": [each] * others} for each in plain]}

    def whole_state(self, reason: str) -> bytes:
        """The answer to an empty request, which only loads or unloads."""
        return encode(self._line(self._carrier(""), done=True, done_reason=reason))

    def refusal(self, status: int, text: str, stage: Stage) -> tuple[str, bytes]:
        in_stream = stage is Stage.ANSWER and self.order.stream
        return JSON if in_stream else JSON_UTF8, dumps({"error": text}).encode()


class NativeChat(Native):
    def _carrier(self, content: str, **extra: Any) -> Object:
        return {"message": {"role": "assistant", "content": content, **extra}}


class NativeGenerate(Native):
    def _carrier(self, content: str, **extra: Any) -> Object:
        return {"response": content, **extra}

    def token(self, kind: str, text: str) -> list[bytes]:
        """The tag that opens the thinking is swallowed here, and leaves two empty lines."""
        swallowed = [] if self.begun or kind != "thinking" else super().token("content", "") * 2
        self.begun = True
        return [*swallowed, *super().token(kind, text)]

    def _context(self, totals: Totals) -> list[int] | None:
        if self.order.fields.get("raw"):
            return None
        return [1, *range(2, 1 + totals.prompt_tokens + totals.tokens)]
