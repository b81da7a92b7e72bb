"""From a request body to an `Order`: one function a surface, each with Ollama's own refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.fake_engine.anthropic import Anthropic
from tests.fake_engine.decode import Object, Refused, Stage, check_format, check_native, check_options
from tests.fake_engine.dialect import Dialect, Order
from tests.fake_engine.native import NativeChat, NativeGenerate
from tests.fake_engine.openai import OpenAIChat, OpenAICompletion
from tests.fake_engine.responses import Responses
from tests.fake_engine.shelf import Shelf

NO_VISION = {
    "error": {
        "code": 400,
        "message": "Multimodal data provided, but model does not support multimodal requests.",
        "type": "invalid_request_error",
    }
}


def check_ability(order: Order, shelf: Shelf) -> None:
    """Raises Refused for what the model cannot do, and for options that make no sense."""
    abilities = shelf.capabilities(order.model)
    if order.tools and "tools" not in abilities:
        raise Refused(400, f"registry.ollama.ai/library/{order.model} does not support tools")
    if order.think and "thinking" not in abilities:
        raise Refused(400, f'"{order.model}" does not support thinking')
    if order.think is None and "thinking" in abilities:
        order.think = True
    check_options(order.fields.get("options") or {})


def check_answerable(order: Order, window: int) -> None:
    """Raises Refused for what only the runner finds out."""
    check_format(order.fields.get("format"))
    if any(message.get("images") for message in _messages(order.fields)):
        raise Refused(400, json.dumps(NO_VISION, separators=(",", ":")), Stage.ANSWER)
    words = len(order.prompt.split())
    if order.fields.get("truncate") is False and words > window:
        raise Refused(400, _too_long(words + 10, window), Stage.ANSWER)


def native_chat(fields: Object, shelf: Shelf) -> Order:
    check_native(fields, "ChatRequest")
    if not fields.get("model"):
        raise Refused(400, "model is required")
    messages = _messages(fields)
    return Order(
        model=shelf.require(fields["model"]),
        stream=fields.get("stream") is not False,
        fields=fields,
        think=_truth(fields.get("think")),
        tools=fields.get("tools") or [],
        prompt=_text(messages),
        limit=_limit((fields.get("options") or {}).get("num_predict")),
        answers_tool=bool(messages) and messages[-1].get("role") == "tool",
    )


def native_generate(fields: Object, shelf: Shelf) -> Order:
    check_native(fields, "GenerateRequest")
    model = shelf.require(fields.get("model") or "")
    if fields.get("raw") and any(fields.get(name) for name in ("template", "system", "context")):
        raise Refused(400, "raw mode does not support template, system, or context")
    return Order(
        model=model,
        stream=fields.get("stream") is not False,
        fields=fields,
        think=_truth(fields.get("think")),
        prompt=fields.get("prompt") or "",
        limit=_limit((fields.get("options") or {}).get("num_predict")),
    )


def openai_chat(fields: Object, shelf: Shelf) -> Order:
    messages = _messages(fields)
    if not messages:
        raise Refused(400, "[] is too short - 'messages'", Stage.BODY)
    for message in messages:
        _check_parts(message.get("content"))
    return Order(
        model=shelf.require(fields.get("model") or ""),
        stream=fields.get("stream") is True,
        fields=_without_native(fields),
        tools=fields.get("tools") or [],
        prompt=_text(messages),
        limit=_limit(fields.get("max_tokens")),
        answers_tool=messages[-1].get("role") == "tool",
    )


def openai_completion(fields: Object, shelf: Shelf) -> Order:
    return Order(
        model=shelf.require(fields.get("model") or ""),
        stream=fields.get("stream") is True,
        fields=_without_native(fields),
        prompt=str(fields.get("prompt") or ""),
        limit=_limit(fields.get("max_tokens")),
    )


def responses(fields: Object, shelf: Shelf) -> Order:
    return Order(
        model=shelf.require(fields.get("model") or ""),
        stream=fields.get("stream") is True,
        fields=_without_native(fields),
        prompt=str(fields.get("input") or ""),
        limit=_limit(fields.get("max_output_tokens")),
    )


def anthropic(fields: Object, shelf: Shelf) -> Order:
    if not fields.get("model"):
        raise Refused(400, "model is required", Stage.BODY)
    if not isinstance(fields.get("max_tokens"), int) or fields["max_tokens"] <= 0:
        raise Refused(400, "max_tokens is required and must be positive", Stage.BODY)
    messages = _messages(fields)
    model = shelf.require(fields["model"])
    asked = (fields.get("thinking") or {}).get("type") == "enabled"
    tools = [
        {"function": {"name": t.get("name"), "parameters": t.get("input_schema")}} for t in fields.get("tools", [])
    ]
    return Order(
        model=model,
        stream=fields.get("stream") is True,
        fields=_without_native(fields),
        think=asked and "thinking" in shelf.capabilities(model),  # the only surface that forgives it
        tools=tools,
        prompt=_text(messages),
        limit=_limit(fields["max_tokens"]),
        answers_tool="tool_result" in json.dumps(messages[-1:]),
    )


Taker = Callable[[Object, Shelf], Order]

SURFACES: dict[str, tuple[Taker, type[Dialect]]] = {
    "/api/chat": (native_chat, NativeChat),
    "/api/generate": (native_generate, NativeGenerate),
    "/v1/chat/completions": (openai_chat, OpenAIChat),
    "/v1/completions": (openai_completion, OpenAICompletion),
    "/v1/responses": (responses, Responses),
    "/v1/messages": (anthropic, Anthropic),
}


def _messages(fields: Object) -> list[Object]:
    found: list[Object] = fields.get("messages") or []
    return found


def _without_native(fields: Object) -> Object:
    """These surfaces do not know the fields that the native ones act upon."""
    return {name: value for name, value in fields.items() if name not in {"options", "format", "truncate", "messages"}}


def _text(messages: list[Object]) -> str:
    return " ".join(each["content"] for each in messages if isinstance(each.get("content"), str))


def _truth(think: Any) -> bool | None:
    return None if think is None else bool(think)


def _limit(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _check_parts(content: Any) -> None:
    for part in content if isinstance(content, list) else []:
        if str((part.get("image_url") or {}).get("url", "")).startswith("http"):
            text = "image URLs are not currently supported, please use base64 encoded data instead"
            raise Refused(400, text, Stage.BODY)


def _too_long(tokens: int, window: int) -> str:
    words = f"request ({tokens} tokens) exceeds the available context size ({window} tokens), try increasing it"
    figures = {"n_prompt_tokens": tokens, "n_ctx": window}
    error = {"code": 400, "message": words, "type": "exceed_context_size_error", **figures}
    return json.dumps({"error": error}, separators=(",", ":"))
