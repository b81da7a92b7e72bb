"""OpenAI's dialect of the embedded engine: chat and text completions, as Ollama's /v1 speaks them.

Requests become Ollama's own fields and go the same way; what OpenAI knows and Ollama ignores is ignored here too. A
stream that breaks off ends with an error event, which OpenAI's clients raise, and without `[DONE]`.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ollamaspace.embedded import ask, gojson, replies
from ollamaspace.embedded.generation import Ending, Piece
from ollamaspace.embedded.gojson import ANY, BOOL, FLOAT, INT, MAP, STRING, Kind
from ollamaspace.embedded.replies import Refusal
from ollamaspace.embedded.serving import ENGINE, Run, Whole, chatting, deliver, embed, generating

_MESSAGE = {
    "role": STRING,
    "content": ANY,
    "reasoning": STRING,
    "name": STRING,
    "tool_call_id": STRING,
    "tool_calls": Kind("[]openai.ToolCall", (list,), inside={"id": STRING, "function": MAP}),
}
_SAMPLING = {
    "model": STRING,
    "stream": BOOL,
    "stream_options": MAP,
    "max_tokens": INT,
    "seed": INT,
    "stop": ANY,
    "temperature": FLOAT,
    "top_p": FLOAT,
    "frequency_penalty": FLOAT,
    "presence_penalty": FLOAT,
}
_CHAT = {
    **_SAMPLING,
    "messages": Kind("[]openai.Message", (list,), inside=_MESSAGE),
    "response_format": MAP,
    "tools": Kind("[]api.Tool", (list,)),
    "reasoning_effort": STRING,
    "logprobs": BOOL,
    "top_logprobs": INT,
}
_COMPLETION = {**_SAMPLING, "prompt": STRING}
_EMBEDDING = {"model": STRING, "input": ANY}

# OpenAI's name of an option, and Ollama's.
_OPTIONS = {
    "max_tokens": "num_predict",
    "seed": "seed",
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
# Where Ollama's /v1 has other defaults than its own routes.
_DEFAULTS: dict[str, object] = {"temperature": 1.0, "top_p": 1.0}
_EFFORTS = {"none": False, "minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "max"}
_DONE = b"data: [DONE]\n\n"


class _Events:
    """What both kinds of completion share: an event stream, and one object where none is wanted."""

    stream_type = "text/event-stream"
    whole_type = "application/json"
    prefix = ""
    chunk = ""
    object = ""

    def __init__(self, model: str, include_usage: bool) -> None:
        self.model = model
        self._include_usage = include_usage
        self._id = f"{self.prefix}-{secrets.randbelow(999)}"
        self._created = int(time.time())

    def piece(self, piece: Piece) -> bytes:
        return _event(self._streamed(self.delta(piece), None))

    def last(self, ending: Ending, whole: Whole) -> bytes:
        said = _event(self._streamed(self.delta(None), self.reason(ending, whole)))
        if self._include_usage:
            said += _event({**self._head(self.chunk), "choices": [], "usage": _usage(ending)})
        return said + _DONE

    def whole(self, ending: Ending, whole: Whole) -> bytes:
        choice = self.choice(self.message(whole), self.reason(ending, whole))
        return replies.dumps({**self._head(self.object), "choices": [choice], "usage": _usage(ending)}) + b"\n"

    def broken(self, refusal: Refusal) -> bytes:
        return _event(replies.error_body("/v1/", refusal))

    def reason(self, ending: Ending, whole: Whole) -> str:
        return "tool_calls" if whole.tool_calls else ending.reason

    def choice(self, said: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return {"index": 0, **said, "finish_reason": reason}

    def delta(self, piece: Piece | None) -> dict[str, Any]:
        """What a chunk says; None: the chunk that only tells why it ended."""
        raise NotImplementedError

    def message(self, whole: Whole) -> dict[str, Any]:
        raise NotImplementedError

    def _streamed(self, said: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return {**self._head(self.chunk), "choices": [self.choice(said, reason)]}

    def _head(self, kind: str) -> dict[str, Any]:
        head = {"id": self._id, "object": kind, "created": self._created}
        return {**head, "model": self.model, "system_fingerprint": "fp_ollama"}


class _Chat(_Events):
    prefix, chunk, object = "chatcmpl", "chat.completion.chunk", "chat.completion"

    def __init__(self, model: str, include_usage: bool) -> None:
        super().__init__(model, include_usage)
        self._began = False

    def delta(self, piece: Piece | None) -> dict[str, Any]:
        if piece is None:
            return {"delta": {}}
        role = {} if self._began else {"role": "assistant"}
        self._began = True
        whole = Whole()
        whole.add(piece)
        return {"delta": {**role, **_said(whole)}, **_told(whole)}

    def message(self, whole: Whole) -> dict[str, Any]:
        return {"message": {"role": "assistant", **_said(whole)}, **_told(whole)}


class _Text(_Events):
    prefix, chunk, object = "cmpl", "text_completion", "text_completion"

    def delta(self, piece: Piece | None) -> dict[str, Any]:
        return {"text": piece.text if piece else ""}

    def message(self, whole: Whole) -> dict[str, Any]:
        return {"text": whole.text}

    def choice(self, said: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return {**said, "index": 0, "finish_reason": reason}

    def _streamed(self, said: dict[str, Any], reason: str | None) -> dict[str, Any]:
        head = self._head(self.chunk)
        after = {name: head.pop(name) for name in ("model", "system_fingerprint")}
        return {**head, "choices": [self.choice(said, reason)], **after}


async def post_chat_completions(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    theirs = gojson.decode(await request.read(), "ChatCompletionRequest", _CHAT, empty="EOF")
    if not theirs.get("messages"):
        raise Refusal(400, "[] is too short - 'messages'")
    asked = {**_common(theirs), "messages": [_message(message) for message in theirs["messages"]]}
    asked |= {name: theirs[name] for name in ("tools", "logprobs", "top_logprobs") if name in theirs}
    if "reasoning_effort" in theirs:
        asked["think"] = _EFFORTS.get(theirs["reasoning_effort"], theirs["reasoning_effort"])
    asked["format"] = _format(theirs.get("response_format", {}))
    name = theirs.get("model", "")
    if not name:
        raise Refusal(400, "model is required")
    model = await engine.model(name)
    ask.require(model, name, "chat", asked)
    speaker = _Chat(name, _wants_usage(theirs))
    return await deliver(request, chatting(engine, model, asked, Run()), speaker, theirs.get("stream", False))


async def post_completions(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    theirs = gojson.decode(await request.read(), "CompletionRequest", _COMPLETION, empty="EOF")
    name = theirs.get("model", "")
    model = await engine.model(name)
    asked = {**_common(theirs), "prompt": theirs.get("prompt", "")}
    ask.require(model, name, "generate", asked)
    asked["messages"] = ask.as_messages(asked)
    speaker = _Text(name, _wants_usage(theirs))
    return await deliver(request, generating(engine, model, asked, Run()), speaker, theirs.get("stream", False))


async def post_embeddings(request: web.Request) -> web.StreamResponse:
    asked = gojson.decode(await request.read(), "EmbedRequest", _EMBEDDING, empty="EOF")
    texts = asked.get("input", [])
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Refusal(400, "invalid input")
    _, vectors, tokens = await embed(request.app[ENGINE], asked, texts, 501)
    data = [{"object": "embedding", "embedding": vector, "index": index} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return replies.openai_json({"object": "list", "data": data, "model": asked["model"], "usage": usage})


def _common(theirs: Mapping[str, Any]) -> dict[str, Any]:
    options = _DEFAULTS | {ours: theirs[name] for name, ours in _OPTIONS.items() if name in theirs}
    stop = theirs.get("stop")
    if stop is not None:
        options["stop"] = [stop] if isinstance(stop, str) else stop
    return {"options": options}


def _wants_usage(theirs: Mapping[str, Any]) -> bool:
    return bool(theirs.get("stream_options", {}).get("include_usage"))


def _format(wanted: Mapping[str, Any]) -> object:
    if wanted.get("type") == "json_schema":
        return (wanted.get("json_schema") or {}).get("schema")
    return "json" if wanted.get("type") == "json_object" else None


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """Ollama's message: parts put together, a call's arguments as the object their text stands for."""
    text, images = _content(message.get("content", ""))
    ours: dict[str, Any] = {"role": message.get("role", ""), "content": text, "images": images}
    ours |= {"thinking": message.get("reasoning", ""), "tool_call_id": message.get("tool_call_id", "")}
    ours["tool_name"] = message.get("name", "")
    if message.get("tool_calls"):
        ours["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return ours


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function", {})
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except (ValueError, TypeError):
        raise Refusal(400, "invalid tool call arguments") from None
    return {"id": call.get("id", ""), "function": {"name": function.get("name", ""), "arguments": arguments}}


def _content(content: object) -> tuple[str, list[bytes]]:
    if isinstance(content, str):
        return content, []
    if not isinstance(content, list):
        raise Refusal(400, f"invalid message content type: {type(content).__name__}")
    texts, images = [], []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            texts.append(str(part.get("text", "")))
        elif kind == "image_url":
            images.append(_image(part.get("image_url")))
        else:
            raise Refusal(400, "invalid message format")
    return "\n".join(texts), images


def _image(value: object) -> bytes:
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str) or url.startswith(("http://", "https://")):
        raise Refusal(400, "image URLs are not currently supported, please use base64 encoded data instead")
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "invalid image input") from None


def _said(whole: Whole) -> dict[str, Any]:
    said: dict[str, Any] = {"content": whole.text}
    if whole.thinking:
        said["reasoning"] = whole.thinking
    if whole.tool_calls:
        said["tool_calls"] = [_openai_call(call) for call in whole.tool_calls]
    return said


def _openai_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = json.dumps(function["arguments"], ensure_ascii=False, separators=(",", ":"))
    named = {"name": function["name"], "arguments": arguments}
    return {"id": call["id"], "index": function["index"], "type": "function", "function": named}


def _told(whole: Whole) -> dict[str, Any]:
    return {"logprobs": {"content": whole.logprobs}} if whole.logprobs else {}


def _usage(ending: Ending) -> dict[str, int]:
    total = ending.prompt_tokens + ending.tokens
    return {"prompt_tokens": ending.prompt_tokens, "completion_tokens": ending.tokens, "total_tokens": total}


def _event(value: object) -> bytes:
    return b"data: " + replies.dumps(value) + b"\n\n"
