"""The whole program: the main job from start to end."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.fake_engine import Journal, make_binary
from tests.space import Space, ask, can_connect, children, is_alive, started


async def test_streams_the_engines_own_lines_to_their_end(space: Space, session: aiohttp.ClientSession) -> None:
    status, lines = await ask(space, session, {"messages": [{"role": "user", "content": "Hello"}]})
    assert status == 200
    assert "".join(line["message"]["content"] for line in lines)
    assert lines[-1]["done"] is True
    assert lines[-1]["eval_count"] > 0


async def test_a_prompt_is_answered_as_ollama_answers_generate(space: Space, session: aiohttp.ClientSession) -> None:
    status, lines = await ask(space, session, {"prompt": "Hello"})
    assert status == 200
    assert all("response" in line for line in lines)


async def test_without_streaming_the_answer_is_one_object(space: Space, session: aiohttp.ClientSession) -> None:
    status, lines = await ask(space, session, {"prompt": "Hello", "stream": False})
    assert status == 200
    assert len(lines) == 1
    assert lines[0]["done"] is True


async def test_without_a_key_nothing_is_answered(space: Space, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{space.url}/chat_api", json={"prompt": "Hello"}) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert (await response.json())["code"] == "no_key"


async def test_the_port_stays_closed_until_the_engine_answers(tmp_path: Path) -> None:
    binary = make_binary(tmp_path, bind_delay=0.6)
    async with started(tmp_path, binary, wait=False) as space:
        journal = Journal(binary)
        await journal.wait_for("started")
        assert not can_connect(space.port)
        await space.until_open()
        assert "engine ready" in space.log


async def test_ends_clean_and_leaves_no_process(tmp_path: Path) -> None:
    async with started(tmp_path, make_binary(tmp_path)) as space:
        family = children(space.process.pid)
        assert family
        assert await space.stop() == 0
        assert not [pid for pid in family if is_alive(pid)]
