"""The routes that tell what there is: version, models, one model in detail, what is loaded; and the pull.

Nothing here makes the model work, so all of it answers at once, also while one is being loaded.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ollamaspace.embedded import catalogue, gguf, gojson, replies
from ollamaspace.embedded.catalogue import Model
from ollamaspace.embedded.gojson import BOOL, STRING
from ollamaspace.embedded.replies import Refusal
from ollamaspace.embedded.serving import ENGINE
from ollamaspace.embedded.weights import PullFailed

_NAMED = {"model": STRING, "name": STRING, "verbose": BOOL, "stream": BOOL, "insecure": BOOL}
_STOP = 'stop                           "{}"'
# What a chat template ends a turn with, for the templates in use; the file says it in a token list we do not read.
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "</s>")


async def root(_: web.Request) -> web.StreamResponse:
    return web.Response(text="Ollama is running")


async def version(request: web.Request) -> web.StreamResponse:
    return replies.json_response({"version": request.app[ENGINE].version})


async def tags(request: web.Request) -> web.StreamResponse:
    return replies.json_response({"models": [_tag(model) for model in await request.app[ENGINE].models()]})


async def ps(request: web.Request) -> web.StreamResponse:
    there = request.app[ENGINE].loader.loaded()
    if there is None:
        return replies.json_response({"models": []})
    loaded, memory, expires = there
    entry = {
        "name": loaded.model.name,
        "model": loaded.model.name,
        "size": memory,
        "digest": loaded.model.digest,
        "details": loaded.model.details,
        "expires_at": replies.rfc3339(expires),
        "size_vram": 0,
        "context_length": loaded.context,
    }
    return replies.json_response({"models": [entry]})


async def show(request: web.Request) -> web.StreamResponse:
    asked = gojson.decode(await request.read(), "ShowRequest", _NAMED)
    name = asked.get("model") or asked.get("name") or ""
    if not name:
        raise Refusal(400, "model is required")
    model = await request.app[ENGINE].model(name, f"model '{catalogue.canonical(name)}' not found")
    return replies.json_response(_shown(model))


async def v1_models(request: web.Request) -> web.StreamResponse:
    entries = [_v1_model(model) for model in await request.app[ENGINE].models()]
    return replies.openai_json({"object": "list", "data": entries or None})


async def v1_model(request: web.Request) -> web.StreamResponse:
    name = request.match_info["model"]
    model = await request.app[ENGINE].model(name, f"model '{catalogue.canonical(name)}' not found")
    return replies.openai_json(_v1_model(model))


async def pull(request: web.Request) -> web.StreamResponse:
    """As with Ollama a failure is a line under 200, since the first line goes out at once; 500 without a stream."""
    asked = gojson.decode(await request.read(), "PullRequest", _NAMED)
    name = asked.get("model") or asked.get("name") or ""
    if not catalogue.valid(name):
        raise Refusal(400, "invalid model name")
    lines = request.app[ENGINE].puller.lines(name)
    if not asked.get("stream", True):
        try:
            last = [line async for line in lines][-1]
        except PullFailed as failed:
            return replies.openai_json({"error": str(failed)}, status=500, end=b"")
        return replies.openai_json(last, end=b"")
    response = web.StreamResponse(headers={"Content-Type": replies.NDJSON})
    await response.prepare(request)
    try:
        async for line in lines:
            await response.write(replies.dumps(line) + b"\n")
    except PullFailed as failed:
        await response.write(replies.dumps({"error": str(failed)}) + b"\n")
    finally:
        await lines.aclose()
    await response.write_eof()
    return response


def _tag(model: Model) -> dict[str, Any]:
    lengths = {"context_length": model.trained_context, "embedding_length": model.embedding_length}
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": replies.rfc3339(model.modified_ns),
        "size": model.size,
        "digest": model.digest,
        "details": {**model.details, **lengths},
        "capabilities": model.capabilities,
    }


def _shown(model: Model) -> dict[str, Any]:
    stops = [end for end in _TURN_ENDS if end in model.template]
    lines = [f'TEMPLATE """{model.template}"""', *(f"PARAMETER stop {end}" for end in stops)]
    return {
        "modelfile": "\n".join([f"# {model.name}, as the file itself says", f"FROM {model.path.name}", *lines, ""]),
        "parameters": "\n".join(_STOP.format(end) for end in stops),
        "template": model.template,
        "details": model.details,
        "model_info": _model_info(model.header),
        "tensors": [{"name": one.name, "type": one.type, "shape": one.shape} for one in model.header.tensors],
        "capabilities": model.capabilities,
        "modified_at": replies.rfc3339(model.modified_ns),
    }


def _model_info(header: gguf.Header) -> dict[str, Any]:
    """The metadata in Ollama's order, by name; it leaves out the name and the template and adds the count."""
    left_out = ("general.name", "tokenizer.chat_template")
    told = {name: _go_number(value) for name, value in header.metadata.items() if name not in left_out}
    return dict(sorted({**told, "general.parameter_count": header.parameters}.items()))


def _go_number(value: gguf.Value) -> gguf.Value:
    """Go writes a float32 with as few digits as tell it apart, and a whole one without a point."""
    if not isinstance(value, float):
        return value
    short = float(f"{value:.7g}")
    return int(short) if short.is_integer() else short


def _v1_model(model: Model) -> dict[str, Any]:
    created = model.modified_ns // 1_000_000_000
    return {"id": model.name, "object": "model", "created": created, "owned_by": "library"}
