"""OpenAI's chat completions and completions, as Ollama writes them. A failure after the first token leaves one empty
chunk with an empty model name and the end of the stream, without a finish reason and without [DONE].
"""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar

from tests.fake_engine.decode import Object, Stage
from tests.fake_engine.dialect import JSON, JSON_UTF8, Answer, Dialect, Order, Totals, encode

ERROR_TYPES = {400: "invalid_request_error", 404: "not_found_error"}


def data(value: Any) -> bytes:
    return b"data: " + encode(value) + b"\n\n"


class OpenAI(Dialect):
    prefix: ClassVar[str]

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.id = f"{self.prefix}-{random.randrange(999)}"
        self.called = False

    def _with_usage(self) -> bool:
        return bool((self.order.fields.get("stream_options") or {}).get("include_usage"))

    def _reason(self, totals: Totals) -> str:
        return "tool_calls" if self.called else totals.reason

    def _usage(self, totals: Totals | None) -> Object:
        prompt, answer = (totals.prompt_tokens, totals.tokens) if totals else (0, 0)
        return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}

    def refusal(self, status: int, text: str, stage: Stage) -> tuple[str, bytes]:
        error = {"message": text, "type": ERROR_TYPES.get(status, "api_error"), "param": None, "code": None}
        body = encode({"error": error})
        return (JSON_UTF8, body) if stage is Stage.BODY else (JSON, body + b"\n")


class OpenAIChat(OpenAI):
    prefix = "chatcmpl"

    def _chunk(self, choices: list[Object], model: str | None = None, **more: Any) -> bytes:
        return data(
            {
                "id": self.id,
                "object": "chat.completion.chunk",
                "created": int(time.time()),
                "model": self.order.model if model is None else model,
                "system_fingerprint": "fp_ollama",
                "choices": choices,
                **more,
            }
        )

    def _delta(self, delta: Object, reason: str | None = None) -> list[Object]:
        role = {} if self.begun or reason else {"role": "assistant"}
        self.begun = True
        return [{"index": 0, "delta": {**role, **delta}, "finish_reason": reason}]

    def token(self, kind: str, text: str) -> list[bytes]:
        delta = {"content": text} if kind == "content" else {"content": "", "reasoning": text}
        return [self._chunk(self._delta(delta))]

    def tool(self, call: Object) -> list[bytes]:
        self.called = True
        return [self._chunk(self._delta({"content": "", "tool_calls": [_call(call)]}))]

    def final(self, totals: Totals) -> list[bytes]:
        last = self._chunk(self._delta({}, self._reason(totals)))
        usage = self._chunk([], usage=self._usage(totals)) if self._with_usage() else b""
        return [last + usage + b"data: [DONE]\n\n"]

    def broken(self, text: str) -> list[bytes]:
        return [self._chunk(self._delta({"content": ""}), model="")]

    def whole(self, answer: Answer, totals: Totals | None) -> bytes:
        message: Object = {"role": "assistant", "content": answer.content}
        if answer.thinking:
            message["reasoning"] = answer.thinking
        if answer.call:
            message["tool_calls"] = [_call(answer.call)]
            self.called = True
        reason = self._reason(totals) if totals else None
        return (
            encode(
                {
                    "id": self.id,
                    "object": "chat.completion",
                    "created": int(time.time()),
                    "model": self.order.model,
                    "system_fingerprint": "fp_ollama",
                    "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                    "usage": self._usage(totals),
                }
            )
            + b"\n"
        )


class OpenAICompletion(OpenAI):
    prefix = "cmpl"

    def _object(self, text: str, reason: str | None, model: str | None = None, **more: Any) -> Object:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": int(time.time()),
            "choices": [{"text": text, "index": 0, "finish_reason": reason}],
            "model": self.order.model if model is None else model,
            "system_fingerprint": "fp_ollama",
            **more,
        }

    def token(self, kind: str, text: str) -> list[bytes]:
        return [data(self._object(text, None))]

    def tool(self, call: Object) -> list[bytes]:
        return []

    def final(self, totals: Totals) -> list[bytes]:
        usage = data({**self._object("", None), "choices": [], "usage": self._usage(totals)})
        last = data(self._object("", totals.reason))
        return [last + (usage if self._with_usage() else b"") + b"data: [DONE]\n\n"]

    def broken(self, text: str) -> list[bytes]:
        return [data(self._object("", None, model=""))]

    def whole(self, answer: Answer, totals: Totals | None) -> bytes:
        reason = totals.reason if totals else None
        return encode(self._object(answer.content, reason, usage=self._usage(totals))) + b"\n"


def _call(call: Object) -> Object:
    function = call["function"]
    arguments = encode(function["arguments"]).decode()
    named = {"name": function["name"], "arguments": arguments}
    return {"id": call["id"], "index": function["index"], "type": "function", "function": named}
