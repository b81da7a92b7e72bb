"""Ollama's own routes that make the model work: chat, generate, embed; and what loads and unloads it.

Checks come in Ollama's order, so that of two mistakes the same one is named.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from ollamaspace.embedded import ask, catalogue, gojson, replies
from ollamaspace.embedded.catalogue import Model
from ollamaspace.embedded.generation import Ending, Piece
from ollamaspace.embedded.replies import Refusal
from ollamaspace.embedded.serving import ENGINE, Engine, Run, Whole, chatting, deliver, embed, generating


@dataclass
class _Lines:
    """Ollama's lines, for chat and generate alike: they differ in where the text stands."""

    model: str
    shape: str
    run: Run = field(default_factory=Run)
    stream_type = replies.NDJSON
    whole_type = replies.JSON

    def piece(self, piece: Piece) -> bytes:
        whole = Whole()
        whole.add(piece)
        return replies.dumps({**self._said(whole), "done": False, **_told(whole)}) + b"\n"

    def last(self, ending: Ending, whole: Whole) -> bytes:
        return replies.dumps(self._final(ending, Whole(tokens=whole.tokens))) + b"\n"

    def whole(self, ending: Ending, whole: Whole) -> bytes:
        return replies.dumps(self._final(ending, whole))

    def broken(self, refusal: Refusal) -> bytes:
        return replies.dumps({"error": str(refusal)}) + b"\n"

    def empty(self, reason: str) -> web.Response:
        return replies.json_response({**self._said(Whole()), "done": True, "done_reason": reason})

    def _said(self, whole: Whole) -> dict[str, Any]:
        said: dict[str, Any] = {"content" if self.shape == "chat" else "response": whole.text}
        if whole.thinking:
            said["thinking"] = whole.thinking
        if whole.tool_calls:
            said["tool_calls"] = whole.tool_calls
        head = {"model": self.model, "created_at": replies.now()}
        return {**head, "message": {"role": "assistant", **said}} if self.shape == "chat" else {**head, **said}

    def _final(self, ending: Ending, whole: Whole) -> dict[str, Any]:
        figures = {
            "total_duration": time.monotonic_ns() - self.run.started,
            "load_duration": self.run.loaded - self.run.started,
            "prompt_eval_count": ending.prompt_tokens,
            "prompt_eval_duration": ending.prompt_ns,
            "eval_count": ending.tokens,
            "eval_duration": ending.tokens_ns,
        }
        said = {**self._said(whole), "done": True, "done_reason": ending.reason, **_told(whole)}
        if self.run.prompt:
            said["context"] = self.run.prompt + whole.tokens
        return {**said, **{name: figure for name, figure in figures.items() if figure}}


def _told(whole: Whole) -> dict[str, Any]:
    return {"logprobs": whole.logprobs} if whole.logprobs else {}


async def post_chat(request: web.Request) -> web.StreamResponse:
    engine, lines = request.app[ENGINE], _Lines("", "chat")
    asked = gojson.decode(await request.read(), "ChatRequest", ask.CHAT)
    lines.model = asked.get("model", "")
    if not lines.model:
        raise Refusal(400, "model is required")
    ask.check_logprobs(asked)
    model = await engine.model(lines.model)
    ask.require(model, lines.model, "chat", asked)
    if not asked.get("messages"):
        return await _load_only(engine, model, asked, lines)
    answer = chatting(engine, model, asked, lines.run)
    return await deliver(request, answer, lines, asked.get("stream", True))


async def post_generate(request: web.Request) -> web.StreamResponse:
    engine, lines = request.app[ENGINE], _Lines("", "generate")
    asked = gojson.decode(await request.read(), "GenerateRequest", ask.GENERATE)
    lines.model = asked.get("model", "")
    model = await engine.model(lines.model)
    ask.check_logprobs(asked)
    if asked.get("raw") and (asked.get("template") or asked.get("system") or asked.get("context")):
        raise Refusal(400, "raw mode does not support template, system, or context")
    if asked.get("suffix"):
        raise Refusal(400, f"{catalogue.full(lines.model)} does not support insert")
    if asked.get("template"):
        raise Refusal(501, "the embedded engine uses the model's own template and takes no other")
    ask.require(model, lines.model, "generate", asked)
    if not asked.get("prompt"):
        return await _load_only(engine, model, asked, lines)
    asked["messages"] = ask.as_messages(asked)
    answer = generating(engine, model, asked, lines.run)
    return await deliver(request, answer, lines, asked.get("stream", True))


async def _load_only(engine: Engine, model: Model, asked: dict[str, Any], lines: _Lines) -> web.StreamResponse:
    if asked.get("keep_alive") == 0:
        engine.loader.release(model)
        return lines.empty("unload")
    window = engine.window(model, asked.get("options", {}))
    async with engine.loader.use(model, window, asked.get("keep_alive")):
        return lines.empty("load")


async def post_embed(request: web.Request) -> web.StreamResponse:
    started = time.monotonic_ns()
    asked = gojson.decode(await request.read(), "EmbedRequest", ask.EMBED)
    texts = asked.get("input", [])
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal(400, "invalid input type")
    loaded, vectors, tokens = await embed(request.app[ENGINE], asked, texts, 501)
    return replies.json_response(
        {
            "model": asked["model"],
            "embeddings": vectors,
            "total_duration": time.monotonic_ns() - started,
            "load_duration": loaded - started,
            "prompt_eval_count": tokens,
        }
    )


async def post_embeddings(request: web.Request) -> web.StreamResponse:
    """The older form: one prompt, one vector, and 500 where the newer says 501."""
    asked = gojson.decode(await request.read(), "EmbeddingRequest", ask.EMBEDDINGS)
    if not asked.get("model"):
        raise Refusal(400, "model is required")
    prompt = asked.get("prompt")
    _, vectors, _ = await embed(request.app[ENGINE], asked, [prompt] if prompt else [], 500)
    return replies.json_response({"embedding": vectors[0] if vectors else []})
