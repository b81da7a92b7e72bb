"""What the recordings do not show of OpenAI's dialect: parts, calls told back, and the end of a broken stream."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.embedded_engine import EngineProcess, linked, running

MODEL = "smollm2:135m"
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Say"}, {"type": "text", "text": "hello."}]}]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    folder = tmp_path_factory.mktemp("openai")
    with running(linked(folder / "models"), folder / "log") as engine:
        yield engine


async def post(engine: EngineProcess, path: str, **body: Any) -> tuple[int, Any]:
    asked = {"model": MODEL, "max_tokens": 4, **body}
    async with aiohttp.ClientSession() as http, http.post(f"{engine.url}/v1/{path}", json=asked) as reply:
        return reply.status, json.loads(await reply.text())


async def test_text_in_parts_is_one_message(engine: EngineProcess) -> None:
    parts = await post(engine, "chat/completions", messages=PARTS)
    whole = await post(engine, "chat/completions", messages=[{"role": "user", "content": "Say\nhello."}])
    assert parts[0] == whole[0] == 200
    assert parts[1]["usage"]["prompt_tokens"] == whole[1]["usage"]["prompt_tokens"]


async def test_calls_and_their_results_are_told_back(engine: EngineProcess) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "2"},
    ]
    assert (await post(engine, "chat/completions", messages=messages))[0] == 200
    call["function"] = {"name": "f", "arguments": "{"}
    status, said = await post(engine, "chat/completions", messages=messages)
    assert (status, said["error"]["message"]) == (400, "invalid tool call arguments")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (5, "invalid message content type"),
        ([{"type": "video"}], "invalid message format"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,@"}}], "invalid image input"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}], "multimodal"),
    ],
)
async def test_content_it_cannot_take_is_named(engine: EngineProcess, content: object, said: str) -> None:
    status, body = await post(engine, "chat/completions", messages=[{"role": "user", "content": content}])
    assert status == 400
    assert said in body["error"]["message"]


async def test_one_text_completion(engine: EngineProcess) -> None:
    status, body = await post(engine, "completions", prompt="The sky is", stop="!")
    assert status == 200
    assert body["object"] == "text_completion"
    assert body["choices"][0]["text"]
    assert body["usage"]["completion_tokens"] == 4


async def test_a_stream_that_breaks_off_ends_with_an_error_and_without_done(engine: EngineProcess) -> None:
    form = {"type": "json_schema", "json_schema": {"schema": {"type": "array", "minItems": 500}}}
    asked = {"model": MODEL, "messages": PARTS, "stream": True, "response_format": form}
    async with aiohttp.ClientSession() as http, http.post(f"{engine.url}/v1/chat/completions", json=asked) as reply:
        await reply.content.readany()
        os.kill(engine.children()[0], signal.SIGKILL)
        events = (await reply.text()).strip().split("\n\n")
    assert json.loads(events[-1].removeprefix("data: "))["error"]["type"] == "api_error"
