"""From llama.cpp's events to pieces, against a stand-in that sends events as llama.cpp's server was seen to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from ollamaspace.embedded import llama_client
from ollamaspace.embedded.generation import Ask, Ending, Piece, chat, complete
from ollamaspace.embedded.llama_client import LlamaClient
from ollamaspace.embedded.replies import BROKEN_OFF, ContextExceeded, Refusal

TIMINGS = {"cache_n": 2, "prompt_n": 10, "prompt_ms": 1.5, "predicted_n": 3, "predicted_ms": 2.25}
LAST = {"choices": [], "timings": TIMINGS}
ENDING = Ending("stop", prompt_tokens=12, prompt_ns=1_500_000, tokens=3, tokens_ns=2_250_000)
HELLO = [{"role": "user", "content": "Hello"}]


class Llama:
    """Answers every POST with the next script: a list of events, or a status with a body."""

    def __init__(self, *scripts: list[object] | tuple[int, object]) -> None:
        self._scripts = list(scripts)
        self.asked: list[dict[str, Any]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        script = self._scripts.pop(0)
        if isinstance(script, tuple):
            return web.json_response(script[1], status=script[0])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in script:
            await response.write(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode())
        return response

    @asynccontextmanager
    async def client(self) -> AsyncIterator[LlamaClient]:
        app = web.Application()
        app.router.add_post("/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        http = llama_client.session()
        try:
            yield LlamaClient(http, f"http://{host}:{port}", "key")
        finally:
            await http.close()
            await runner.cleanup()


def delta(reason: str | None = None, **said: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": reason}]}


def ask(**more: Any) -> Ask:
    return Ask(sampling={}, window=100, **{"messages": HELLO, **more})


async def collected(llama: Llama, asked: Ask) -> list[Piece | Ending]:
    async with llama.client() as client:
        return [piece async for piece in chat(client, asked)]


async def test_text_and_thoughts_are_told_apart() -> None:
    llama = Llama(
        [
            delta(role="assistant", content=None),
            delta(reasoning_content="Hm."),
            delta(content="Hi"),
            delta("stop"),
            LAST,
            "[DONE]",
        ]
    )
    assert await collected(llama, ask()) == [Piece(thinking="Hm."), Piece(text="Hi"), ENDING]
    assert llama.asked[0]["stream"] is True


async def test_a_tool_call_in_fragments_comes_whole_before_the_end() -> None:
    def call(index: int, **function: str) -> dict[str, object]:
        return delta(
            tool_calls=[{"index": index, "id": f"id{index}" if "name" in function else None, "function": function}]
        )

    llama = Llama(
        [
            call(0, name="weather", arguments=""),
            call(0, arguments='{"city":'),
            call(1, name="time"),
            call(0, arguments='"Rome"}'),
            delta("tool_calls"),
            LAST,
        ]
    )
    first = {"id": "id0", "function": {"index": 0, "name": "weather", "arguments": {"city": "Rome"}}}
    second = {"id": "id1", "function": {"index": 1, "name": "time", "arguments": {}}}
    assert await collected(llama, ask()) == [Piece(tool_calls=(first, second)), ENDING]


async def test_a_tool_call_that_is_not_json_is_an_error() -> None:
    broken = delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}])
    with pytest.raises(Refusal, match="not JSON"):
        await collected(Llama([broken, LAST]), ask())


@pytest.mark.parametrize("events", [[], [delta(content="Hi")], [delta(content="Hi"), "[DONE]"]])
async def test_an_answer_without_its_end_is_broken_off(events: list[object]) -> None:
    with pytest.raises(Refusal, match=BROKEN_OFF):
        await collected(Llama(events), ask())


async def test_an_error_among_the_events_is_handed_on() -> None:
    with pytest.raises(Refusal, match="out of memory"):
        await collected(Llama([delta(content="Hi"), {"error": {"message": "out of memory"}}]), ask())


async def test_a_history_beyond_the_window_loses_its_oldest_turns_but_not_the_system_prompt() -> None:
    turns = [{"role": "user" if number % 2 == 0 else "assistant", "content": "x" * 92} for number in range(9)]
    messages = [{"role": "system", "content": "s" * 92}, *turns]
    llama = Llama((400, _exceeded(tokens=200, window=100)), [delta("stop"), LAST])
    assert await collected(llama, ask(messages=messages)) == [ENDING]
    assert llama.asked[1]["messages"] == [messages[0], *messages[-4:]]


async def test_one_message_beyond_the_window_keeps_its_end() -> None:
    text = "".join(f"{number:04}" for number in range(100))
    llama = Llama((400, _exceeded(tokens=400, window=100)), [delta("stop"), LAST])
    assert await collected(llama, ask(messages=[{"role": "user", "content": text}])) == [ENDING]
    assert llama.asked[1]["messages"] == [{"role": "user", "content": text[-50:]}]


@pytest.mark.parametrize("asked", [ask(truncate=False, messages=HELLO * 3), ask()], ids=["forbidden", "nothing to cut"])
async def test_where_nothing_may_be_cut_the_refusal_stands(asked: Ask) -> None:
    with pytest.raises(ContextExceeded) as refusal:
        await collected(Llama((400, _exceeded(tokens=300, window=100))), asked)
    assert json.loads(str(refusal.value)) == _exceeded(tokens=300, window=100)


async def test_completion_tells_tokens_and_probabilities() -> None:
    told = {"id": 7, "token": "a", "bytes": [97], "logprob": -0.5}
    event = {"content": "a", "tokens": [7], "completion_probabilities": [{**told, "top_logprobs": [told]}]}
    llama = Llama([event, {"content": "", "tokens": [], "stop": True, "stop_type": "limit", "timings": TIMINGS}])
    async with llama.client() as client:
        pieces = [piece async for piece in complete(client, ask(logprobs=1), [1, 2])]
    one = {"token": "a", "logprob": -0.5, "bytes": [97]}
    assert pieces[0] == Piece(text="a", tokens=(7,), logprobs=({**one, "top_logprobs": [one]},))
    assert isinstance(pieces[1], Ending)
    assert pieces[1].reason == "length"


async def test_a_completion_beyond_the_window_keeps_its_first_tokens_and_half_a_window() -> None:
    llama = Llama([{"content": "", "tokens": [], "stop_type": "eos", "timings": TIMINGS}])
    async with llama.client() as client:
        assert [piece async for piece in complete(client, ask(), list(range(200)))] == [ENDING]
    assert llama.asked[0]["prompt"] == [0, 1, 2, 3, *range(154, 200)]


def _exceeded(tokens: int, window: int) -> dict[str, object]:
    return {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": tokens, "n_ctx": window}}
