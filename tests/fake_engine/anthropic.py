"""Anthropic's messages, as Ollama writes them. A failure after the first token leaves nothing at all: the stream just
ends without message_stop.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tests.fake_engine.decode import Object, Stage
from tests.fake_engine.dialect import JSON, JSON_UTF8, Answer, Dialect, Order, Totals, encode, random_name
from tests.fake_engine.wire import Headers

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens"}
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}
BLOCKS: dict[str, tuple[str, str, str]] = {
    "content": ("text", "text", "text_delta"),
    "thinking": ("thinking", "thinking", "thinking_delta"),
}
"""By kind of token: type of the block, its key, type of its deltas."""


def event(name: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode({"type": name, **fields}))


class Anthropic(Dialect):
    stream_headers: ClassVar[Headers] = [("Cache-Control", "no-cache"), ("Connection", "keep-alive")]

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.id = f"msg_{random_name(24)}"
        self.block = -1
        self.kind: str | None = None
        self.called = False

    def _message(self, content: list[Object], **more: Any) -> Object:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.order.model,
            "content": content,
            **more,
        }

    def _begin(self) -> list[bytes]:
        if self.begun:
            return []
        self.begun = True
        estimate = max(1, len(self.order.prompt) // 4)
        return [event("message_start", message=self._message([], usage={"input_tokens": estimate, "output_tokens": 0}))]

    def _open(self, kind: str, block: Object) -> list[bytes]:
        chunks = [*self._begin(), *self._close()]
        self.kind, self.block = kind, self.block + 1
        return [*chunks, event("content_block_start", index=self.block, content_block=block)]

    def _close(self) -> list[bytes]:
        if self.kind is None:
            return []
        self.kind = None
        return [event("content_block_stop", index=self.block)]

    def token(self, kind: str, text: str) -> list[bytes]:
        block, key, delta = BLOCKS[kind]
        opening = [] if self.kind == kind else self._open(kind, {"type": block, key: ""})
        return [*opening, event("content_block_delta", index=self.block, delta={"type": delta, key: text})]

    def tool(self, call: Object) -> list[bytes]:
        self.called = True
        function = call["function"]
        block = {"type": "tool_use", "id": call["id"], "name": function["name"], "input": {}}
        delta = {"type": "input_json_delta", "partial_json": encode(function["arguments"]).decode()}
        opening = self._open("tool", block)
        return [*opening, event("content_block_delta", index=self.block, delta=delta), *self._close()]

    def final(self, totals: Totals) -> list[bytes]:
        delta = {"stop_reason": self._reason(totals)}
        ending = event("message_delta", delta=delta, usage=self._usage(totals))
        return [*self._begin(), *self._close(), ending, event("message_stop")]

    def broken(self, text: str) -> list[bytes]:
        return []

    def whole(self, answer: Answer, totals: Totals | None) -> bytes:
        content: list[Object] = [{"type": "thinking", "thinking": answer.thinking}] if answer.thinking else []
        content += [{"type": "text", "text": answer.content}] if answer.content else []
        if answer.call:
            self.called = True
            function = answer.call["function"]
            names = {"id": answer.call["id"], "name": function["name"], "input": function["arguments"]}
            content.append({"type": "tool_use", **names})
        ending = {"stop_reason": self._reason(totals)} if totals else {}
        return encode(self._message(content, **ending, usage=self._usage(totals))) + b"\n"

    def _reason(self, totals: Totals) -> str:
        return "tool_use" if self.called else STOP_REASONS[totals.reason]

    def _usage(self, totals: Totals | None) -> Object:
        prompt, answer = (totals.prompt_tokens, totals.tokens) if totals else (0, 0)
        return {"input_tokens": prompt, "output_tokens": answer}

    def refusal(self, status: int, text: str, stage: Stage) -> tuple[str, bytes]:
        error = {"type": ERROR_TYPES.get(status, "api_error"), "message": text}
        body = encode({"type": "error", "error": error, "request_id": f"req_{random_name(24)}"})
        return (JSON_UTF8, body) if stage is Stage.BODY else (JSON, body + b"\n")
