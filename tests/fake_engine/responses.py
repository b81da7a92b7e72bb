"""OpenAI's Responses, as Ollama writes them: numbered events with sorted keys in a stream, another order when whole."""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar

from tests.fake_engine.decode import Object
from tests.fake_engine.dialect import Answer, Order, Totals, encode
from tests.fake_engine.openai import OpenAI
from tests.fake_engine.wire import Headers


class Responses(OpenAI):
    prefix = "resp"
    stream_headers: ClassVar[Headers] = [("Cache-Control", "no-cache"), ("Connection", "keep-alive")]

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.id = f"resp_{random.randrange(100_000, 999_999)}"
        self.item_id = f"msg_{random.randrange(100_000, 999_999)}"
        self.created = int(time.time())
        self.number = 0
        self.text = ""

    def _event(self, kind: str, **fields: Any) -> bytes:
        numbered = {**fields, "sequence_number": self.number, "type": kind}
        self.number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode(dict(sorted(numbered.items()))))

    def _response(self, status: str, output: list[Object], totals: Totals | None) -> Object:
        fields = self.order.fields
        return {
            "background": False,
            "completed_at": int(time.time()) if totals else None,
            "created_at": self.created,
            "error": None,
            "frequency_penalty": fields.get("frequency_penalty", 0),
            "id": self.id,
            "incomplete_details": None,
            "instructions": fields.get("instructions"),
            "max_output_tokens": fields.get("max_output_tokens"),
            "max_tool_calls": None,
            "metadata": {},
            "model": self.order.model,
            "object": "response",
            "output": output,
            "parallel_tool_calls": True,
            "presence_penalty": fields.get("presence_penalty", 0),
            "previous_response_id": None,
            "prompt_cache_key": None,
            "reasoning": None,
            "safety_identifier": None,
            "service_tier": "default",
            "status": status,
            "store": False,
            "temperature": fields.get("temperature", 1),
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": 0,
            "top_p": fields.get("top_p", 1),
            "truncation": "disabled",
            "usage": self._spent(totals) if totals else None,
        }

    def _spent(self, totals: Totals) -> Object:
        prompt, answer = totals.prompt_tokens, totals.tokens
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + answer,
        }

    def _part(self) -> Object:
        return {"annotations": [], "logprobs": [], "text": self.text, "type": "output_text"}

    def _item(self, status: str, content: list[Object]) -> Object:
        return {"content": content, "id": self.item_id, "role": "assistant", "status": status, "type": "message"}

    def _begin(self) -> list[bytes]:
        if self.begun:
            return []
        self.begun = True
        response = self._response("in_progress", [], None)
        return [
            self._event("response.created", response=response),
            self._event("response.in_progress", response=response),
            self._event("response.output_item.added", item=self._item("in_progress", []), output_index=0),
            self._event(
                "response.content_part.added", content_index=0, item_id=self.item_id, output_index=0, part=self._part()
            ),
        ]

    def token(self, kind: str, text: str) -> list[bytes]:
        opening = self._begin()
        if kind == "thinking":
            return opening
        self.text += text
        place = {"content_index": 0, "item_id": self.item_id, "logprobs": [], "output_index": 0}
        return [*opening, self._event("response.output_text.delta", delta=text, **place)]

    def tool(self, call: Object) -> list[bytes]:
        return self._begin()

    def final(self, totals: Totals) -> list[bytes]:
        opening = self._begin()
        place = {"content_index": 0, "item_id": self.item_id, "output_index": 0}
        item = self._item("completed", [self._part()])
        return [
            *opening,
            self._event("response.output_text.done", logprobs=[], text=self.text, **place),
            self._event("response.content_part.done", part=self._part(), **place),
            self._event("response.output_item.done", item=item, output_index=0),
            self._event("response.completed", response=self._response("completed", [item], totals)),
        ]

    def broken(self, text: str) -> list[bytes]:
        return self._begin()

    def whole(self, answer: Answer, totals: Totals | None) -> bytes:
        part = {"type": "output_text", "text": answer.content, "annotations": [], "logprobs": []}
        item = {"id": self.item_id, "type": "message", "status": "completed", "role": "assistant", "content": [part]}
        response = self._response("completed", [item], totals)
        if totals:
            response["usage"] = {name: self._spent(totals)[name] for name in WHOLE_USAGE}
        return encode({name: response[name] for name in WHOLE_ORDER}) + b"\n"


WHOLE_USAGE = ("input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details")
WHOLE_ORDER = (
    *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id"),
    *("instructions", "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p"),
    *("presence_penalty", "frequency_penalty", "top_logprobs", "temperature", "reasoning", "usage"),
    *("max_output_tokens", "max_tool_calls", "store", "background", "service_tier", "metadata", "safety_identifier"),
    "prompt_cache_key",
)
