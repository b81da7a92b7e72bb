"""What a request asks for: Ollama's fields by name and type, what the model must be able to do, and the Ask it becomes.

The tables name every field Ollama knows; what is not in them is ignored, as Ollama does. /v1 is translated into the
same fields, so that there is one way to ask the model anything.
"""

from __future__ import annotations

import json
from typing import Any

from ollamaspace.embedded import catalogue, gojson, options
from ollamaspace.embedded.catalogue import Model
from ollamaspace.embedded.generation import Ask
from ollamaspace.embedded.gojson import ANY, BOOL, INT, INTS, MAP, STRING, Kind
from ollamaspace.embedded.replies import Refusal

_TOOLS = Kind("[]api.Tool", (list,))
_IMAGES = Kind("[]api.ImageData", (list,), gojson.images)
_MESSAGE = {
    "role": STRING,
    "content": STRING,
    "thinking": STRING,
    "images": _IMAGES,
    "tool_calls": Kind("[]api.ToolCall", (list,), inside={"id": STRING, "function": MAP}),
    "tool_name": STRING,
    "tool_call_id": STRING,
}
_COMMON = {
    "model": STRING,
    "stream": BOOL,
    "format": ANY,
    "options": MAP,
    "keep_alive": Kind("", (object,), options.keep_alive),
    "think": Kind("", (object,), options.think),
    "truncate": BOOL,
    "logprobs": BOOL,
    "top_logprobs": INT,
}
CHAT = {**_COMMON, "messages": Kind("[]api.Message", (list,), inside=_MESSAGE), "tools": _TOOLS}
GENERATE = {
    **_COMMON,
    "prompt": STRING,
    "suffix": STRING,
    "system": STRING,
    "template": STRING,
    "context": INTS,
    "raw": BOOL,
    "images": _IMAGES,
}
EMBED = {"model": STRING, "input": ANY, "truncate": BOOL, "options": MAP, "keep_alive": _COMMON["keep_alive"]}
EMBEDDINGS = {**EMBED, "prompt": STRING}

_MAX_ALTERNATIVES = 20
# What llama.cpp says to an image without a projector, in the wrapping in which Ollama passes it on.
_NO_VISION = (
    '{"error":{"code":400,"message":"Multimodal data provided, but model does not support multimodal requests.",'
    '"type":"invalid_request_error"}}'
)


def require(model: Model, name: str, what: str, asked: dict[str, Any]) -> None:
    """Raises Refusal 400 for what the model cannot do."""
    if "completion" not in model.capabilities:
        raise Refusal(400, f'"{name}" does not support {what}')
    if asked.get("tools") and "tools" not in model.capabilities:
        raise Refusal(400, f"{catalogue.full(name)} does not support tools")
    if asked.get("think") and "thinking" not in model.capabilities:
        raise Refusal(400, f'"{name}" does not support thinking')


def chat_ask(model: Model, window: int, asked: dict[str, Any]) -> Ask:
    if any(message.get("images") for message in asked["messages"]):
        raise Refusal(400, _NO_VISION)
    think = asked.get("think", True)
    return Ask(
        sampling=options.sampling(asked.get("options", {}), window),
        window=window,
        messages=[_llama_message(message) for message in asked["messages"]],
        tools=asked.get("tools", []),
        schema=options.schema(asked.get("format")),
        thinks=bool(think) if "thinking" in model.capabilities else None,
        effort=think if isinstance(think, str) else None,
        logprobs=asked.get("top_logprobs", 0) if asked.get("logprobs") else None,
        truncate=asked.get("truncate", True),
    )


def check_logprobs(asked: dict[str, Any]) -> None:
    if not 0 <= asked.get("top_logprobs", 0) <= _MAX_ALTERNATIVES:
        raise Refusal(400, f"top_logprobs must be between 0 and {_MAX_ALTERNATIVES}")


def as_messages(asked: dict[str, Any]) -> list[dict[str, Any]]:
    system = [{"role": "system", "content": asked["system"]}] if asked.get("system") else []
    return [*system, {"role": "user", "content": asked["prompt"], "images": asked.get("images")}]


def _llama_message(message: dict[str, Any]) -> dict[str, Any]:
    """Ollama's message as llama.cpp wants it: a call's arguments as text, thoughts under their other name."""
    said: dict[str, Any] = {"role": message.get("role", "").lower(), "content": message.get("content", "")}
    if message.get("thinking"):
        said["reasoning_content"] = message["thinking"]
    if message.get("tool_calls"):
        said["tool_calls"] = [_llama_call(call) for call in message["tool_calls"]]
    if said["role"] == "tool":
        said["tool_call_id"] = message.get("tool_call_id", "")
        said["name"] = message.get("tool_name", "")
    return said


def _llama_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function", {})
    arguments = json.dumps(function.get("arguments", {}))
    named = {"name": str(function.get("name", "")), "arguments": arguments}
    return {"id": call.get("id", ""), "type": "function", "function": named}
