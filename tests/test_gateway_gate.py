"""The way to the engine through the real command: queue, owned loads, a lost slot, and two keys that compete."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from ollamaspace.gateway.admission import Admission, Bounds
from ollamaspace.gateway.gate import Gate, Status
from ollamaspace.gateway.leak_watch import LeakWatch
from ollamaspace.gateway.loads import Loads
from tests.fake_engine import Journal, change, make_binary
from tests.space import NOISE, Space, ask, started, until

HELLO = {"prompt": "Hello", "model": "smollm2:135m"}
SLOW = {"token_count": 100, "interval": 0.1}
PLAIN = {"token_count": 3, "interval": 0.0}


@asynccontextmanager
async def behind(folder: Path, scenario: dict[str, Any], **environ: str) -> AsyncIterator[tuple[Space, Path]]:
    """A command whose engine has one slot, as Ollama has unless it is told otherwise."""
    binary = make_binary(folder, **{"slots": 1, "thinking": (), **scenario})
    async with started(folder, binary, wait=True, arguments=(), **{"OLLAMA_NUM_PARALLEL": "1", **environ}) as space:
        yield space, binary


async def new_key(space: Space, session: aiohttp.ClientSession) -> dict[str, Any]:
    async with session.post(f"{space.url}/space/keys", json={"name": "other"}, headers=space.headers) as response:
        assert response.status == 201, await response.text()
        found: dict[str, Any] = await response.json()
        return found


async def ask_with(key: str, space: Space, session: aiohttp.ClientSession) -> tuple[int, dict[str, Any], Any]:
    """Status, last line and headers."""
    headers = {"Authorization": f"Bearer {key}"}
    async with session.post(f"{space.url}/chat_api", json=HELLO, headers=headers) as response:
        return response.status, json.loads((await response.text()).splitlines()[-1]), response.headers


async def first_line(space: Space, session: aiohttp.ClientSession) -> aiohttp.ClientResponse:
    response = await session.post(f"{space.url}/chat_api", json=HELLO, headers=space.headers)
    assert response.status == 200, await response.text()
    await response.content.readline()
    return response


async def full(space: Space, session: aiohttp.ClientSession, key: str) -> bool:
    """Whether the queue takes nobody more; if it does, the place is given back at once."""
    try:
        status, _, _ = await asyncio.wait_for(ask_with(key, space, session), 0.1)
    except TimeoutError:
        return False
    return status == 503


def generations(binary: Path) -> int:
    """Requests that reached the engine for an answer."""
    return len(Journal(binary).questions())


async def test_a_greedy_key_does_not_starve_a_polite_one(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    bounds = {"OLLAMASPACE_QUEUE": "200", "OLLAMASPACE_QUEUE_PER_KEY": "150"}
    async with behind(tmp_path, {"token_count": 3, "interval": 0.01}, **bounds) as (space, binary):
        polite = (await new_key(space, session))["key"]
        crowd = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        greedy = [asyncio.create_task(ask_with(space.key, space, crowd)) for _ in range(100)]
        await until(lambda: generations(binary) >= 2, 5)
        for _ in range(3):
            before = generations(binary)
            status, last, _ = await ask_with(polite, space, session)
            assert (status, last["done"]) == (200, True)
            assert generations(binary) - before <= 4
        assert not all(task.done() for task in greedy)
        answers = await asyncio.gather(*greedy)
        assert {(status, last["done"]) for status, last, _ in answers} == {(200, True)}
        await crowd.close()


async def test_beyond_the_bounds_the_answer_is_no_at_once(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    bounds = {"OLLAMASPACE_QUEUE": "3", "OLLAMASPACE_QUEUE_PER_KEY": "2"}
    async with behind(tmp_path, SLOW, **bounds) as (space, binary):
        other = (await new_key(space, session))["key"]
        running = await first_line(space, session)
        waiting = [asyncio.create_task(ask_with(key, space, session)) for key in (space.key, space.key, other)]
        await until(lambda: full(space, session, other), 5)
        for key, expected in ((space.key, (429, "too_many")), (other, (503, "queue_full"))):
            status, last, headers = await ask_with(key, space, session)
            assert (status, last["code"]) == expected
            assert int(headers["Retry-After"]) > 0
        took = []
        for _ in range(20):
            began = time.perf_counter()
            assert (await ask_with(space.key, space, session))[0] == 429
            took.append(time.perf_counter() - began)
        assert sorted(took)[10] < 0.05 + NOISE
        assert generations(binary) == 1
        for task in waiting:
            task.cancel()
        running.close()


async def test_whoever_leaves_the_queue_never_reaches_the_engine(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with behind(tmp_path, SLOW, OLLAMASPACE_QUEUE_PER_KEY="1") as (space, binary):
        running = await first_line(space, session)
        for _ in range(3):
            waiting = asyncio.create_task(ask(space, session, HELLO))
            await asyncio.wait({waiting}, timeout=0.1)
            assert not waiting.done(), waiting.result()
            waiting.cancel()
            await asyncio.wait({waiting})
            await asyncio.sleep(0.05)
        change(binary, **PLAIN)
        last = asyncio.create_task(ask(space, session, HELLO))
        await asyncio.wait({last}, timeout=0.1)
        running.close()
        assert (await last)[1][-1]["done"] is True
        assert generations(binary) == 2


async def test_a_queue_outlives_the_death_of_the_engine_in_its_order(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with behind(tmp_path, SLOW, OLLAMASPACE_QUEUE_PER_KEY="20") as (space, binary):
        running = await first_line(space, session)
        served = []

        async def wait(number: int) -> None:
            status, lines = await ask(space, session, HELLO)
            assert (status, lines[-1]["done"]) == (200, True)
            served.append(number)

        waiting = []
        for number in range(20):
            waiting.append(asyncio.create_task(wait(number)))
            await asyncio.sleep(0.02)
        change(binary, **PLAIN)
        os.kill(space.engine_pid, signal.SIGKILL)
        await asyncio.gather(*waiting)
        assert served == list(range(20))
        lines = (await running.text()).splitlines()
        assert json.loads(lines[-1])["code"] == "engine_crashed"


async def test_a_key_that_is_revoked_leaves_the_queue(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with behind(tmp_path, SLOW) as (space, binary):
        other = await new_key(space, session)
        running = await first_line(space, session)
        waiting = asyncio.create_task(ask_with(other["key"], space, session))
        await asyncio.sleep(0.05)
        async with session.delete(f"{space.url}/space/keys/{other['id']}", headers=space.headers) as response:
            assert response.status == 204
        status, last, _ = await asyncio.wait_for(waiting, 2)
        assert (status, last["code"]) == (401, "bad_key")
        assert generations(binary) == 1
        running.close()


async def test_whoever_asks_is_told_the_place_in_the_queue(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with behind(tmp_path, {"token_count": 3, "interval": 0.1}) as (space, _):
        await ask(space, session, HELLO)
        running, next_one = await first_line(space, session), asyncio.create_task(ask(space, session, HELLO))
        await asyncio.sleep(0.05)
        headers = {**space.headers, "X-Queue-Status": "1"}
        async with session.post(f"{space.url}/chat_api", json=HELLO, headers=headers) as response:
            lines = [json.loads(line) async for line in response.content]
        told = [line for line in lines if "status" in line]
        assert lines[: len(told)] == told
        assert [line["status"] for line in told] == ["queued", "queued", "reading"]
        assert [line["position"] for line in told[:2]] == [2, 1]
        assert all(line["wait"] >= 1 for line in told[:2])
        assert lines[-1]["done"] is True
        assert (await next_one)[1][0].keys() >= {"response"}
        running.close()


@pytest.mark.parametrize(
    ("path", "begins", "ends"),
    [("/api/chat", '{"status"', '"done":true'), ("/v1/chat/completions", ': {"status"', "data: [DONE]")],
)
async def test_clients_of_other_dialects_are_told_too_if_they_ask(
    tmp_path: Path, session: aiohttp.ClientSession, path: str, begins: str, ends: str
) -> None:
    body = {"model": HELLO["model"], "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    async with behind(tmp_path, {"token_count": 3, "interval": 0.1}) as (space, _):
        for asks in (True, False):
            running = await first_line(space, session)
            headers = space.headers | ({"X-Queue-Status": "1"} if asks else {})
            async with session.post(f"{space.url}{path}", json=body, headers=headers) as response:
                lines = [line for line in (await response.text()).splitlines() if line]
            told = [json.loads(line.removeprefix(": ")) for line in lines if line.startswith(begins)]
            assert [each["status"] for each in told] == (["queued", "reading"] if asks else [])
            assert ends in lines[-1]
            running.close()


async def test_a_place_that_does_not_move_is_told_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ollamaspace.gateway.gate._AGAIN_AFTER", 0.02)
    admission, told = Admission(Bounds(1, 5, 5)), list[Status]()
    loads = cast(Loads, SimpleNamespace(is_known=lambda model: True))
    gate = Gate(admission, loads, cast(LeakWatch, None))
    with gate.place("m", "a"), gate.place("m", "b") as waiting:
        turn = asyncio.create_task(gate.turn(waiting, told.append))
        await until(lambda: len(told) > 3, 5)
        assert {status["status"] for status in told} == {"queued"}
        assert {status["position"] for status in told} == {1}
        turn.cancel()
        await asyncio.wait({turn})


async def test_a_slow_load_is_done_once_for_five_who_do_not_wait_for_it(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with behind(tmp_path, {"load_time": 1.0, **PLAIN}) as (space, binary):
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ask(space, session, HELLO), 0.1)
        status, lines = await ask(space, session, HELLO)
        assert (status, lines[-1]["done"]) == (200, True)
        assert len(Journal(binary).events("loaded")) == 1
        assert generations(binary) == 1


async def leave_and_lose(space: Space, binary: Path, session: aiohttp.ClientSession) -> None:
    response = await first_line(space, session)
    response.close()
    await Journal(binary).wait_for("leaked")
    change(binary, **PLAIN, leak="")


@pytest.mark.parametrize("stays", [False, True])
async def test_a_lost_slot_is_found_again(tmp_path: Path, session: aiohttp.ClientSession, stays: bool) -> None:
    """By an unload; where that does not help, by a restart of the engine. Whoever waits is served."""
    async with behind(tmp_path, {**SLOW, "runner": "plain", "leak": "any", "leak_stays": stays}) as (space, binary):
        await leave_and_lose(space, binary, session)
        async with asyncio.timeout(25 if stays else 10):
            answers = await asyncio.gather(*(ask(space, session, HELLO) for _ in range(3)))
        assert {(status, lines[-1]["done"]) for status, lines in answers} == {(200, True)}
        assert len(Journal(binary).events("unloaded")) == 1
        assert (await space.status(session))["engine"]["restarts"] == int(stays)


LONG = {"messages": [{"role": "user", "content": "word " * 50}] * 4, "model": "smollm2:135m"}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_prompt_that_was_cut_is_told_in_a_header(
    tmp_path: Path, session: aiohttp.ClientSession, stream: bool
) -> None:
    async with behind(tmp_path, {**PLAIN, "context_length": 100}) as (space, binary):

        async def post(body: dict[str, Any]) -> tuple[int, str | None, dict[str, Any]]:
            given = {**body, "stream": stream}
            async with session.post(f"{space.url}/chat_api", json=given, headers=space.headers) as response:
                last = json.loads((await response.text()).splitlines()[-1])
                return response.status, response.headers.get("X-Prompt-Truncated"), last

        status, truncated, last = await post(LONG)
        assert (status, truncated, last["done"]) == (200, "true", True)
        bodies = [each["body"] for each in Journal(binary).requests("/api/chat")]
        assert [body.get("truncate") for body in bodies] == [False, None]

        status, truncated, last = await post({**LONG, "truncate": False})
        assert (status, truncated) == (400, None)
        assert "exceeds the available context size" in last["error"]

        status, truncated, last = await post(HELLO)
        assert (status, truncated, last["done"]) == (200, None, True)


async def test_ollamas_own_clients_are_told_of_a_cut_prompt_too(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with behind(tmp_path, {**PLAIN, "context_length": 100}) as (space, _):
        for stream in (True, False):
            body = {**LONG, "stream": stream}
            async with session.post(f"{space.url}/api/chat", json=body, headers=space.headers) as response:
                assert (response.status, response.headers.get("X-Prompt-Truncated")) == (200, "true")


async def test_a_request_that_only_loads_or_unloads_takes_no_slot(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with behind(tmp_path, SLOW, OLLAMASPACE_QUEUE="0") as (space, binary):
        running = await first_line(space, session)
        assert (await ask(space, session, HELLO))[0] == 503
        for fields in ({}, {"keep_alive": 0}):
            body = {"model": HELLO["model"], "stream": False, **fields}
            async with session.post(f"{space.url}/api/generate", json=body, headers=space.headers) as response:
                assert response.status == 200, await response.text()
        assert len(Journal(binary).events("unloaded")) == 1
        running.close()


async def test_a_prompt_that_was_cut_is_told_in_a_line_where_the_headers_were_sent(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with behind(tmp_path, {"token_count": 3, "interval": 0.1, "context_length": 100}) as (space, _):
        running = await first_line(space, session)
        headers = {**space.headers, "X-Queue-Status": "1"}
        async with session.post(f"{space.url}/chat_api", json=LONG, headers=headers) as response:
            lines = [json.loads(line) async for line in response.content]
        assert [line["status"] for line in lines if "status" in line] == ["queued", "reading", "truncated"]
        running.close()


GUESSED = {"OLLAMA_NUM_PARALLEL": ""}


async def test_alone_the_owner_is_not_held_up_by_a_guess_of_what_the_engine_can_do(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    binary = make_binary(tmp_path, first_token=20.0)
    async with started(tmp_path, binary) as space:
        asking = [asyncio.create_task(ask(space, session, HELLO)) for _ in range(30)]
        await until(lambda: generations(binary) == 30, 10)
        assert not any(task.done() for task in asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_an_owner_with_a_hundred_requests_does_not_starve_a_made_key(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """All of them wait in the engine, where only the order of arrival counts, until somebody else comes."""
    async with behind(tmp_path, {"token_count": 3, "interval": 0.02}, **GUESSED) as (space, binary):
        polite = (await new_key(space, session))["key"]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as crowd:
            greedy = [asyncio.create_task(ask(space, crowd, HELLO)) for _ in range(100)]
            await until(lambda: generations(binary) == 100, 15)
            for _ in range(3):
                before = len(Journal(binary).events("finished"))
                status, last, _ = await ask_with(polite, space, session)
                assert (status, last["done"]) == (200, True)
                assert len(Journal(binary).events("finished")) - before <= 4
            assert sum(task.done() for task in greedy) < 50
            answers = await asyncio.gather(*greedy)
        assert {(status, lines[-1]["done"]) for status, lines in answers} == {(200, True)}
        assert "Traceback" not in space.log


async def test_an_owner_whose_place_was_taken_back_is_told_the_new_one(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async with behind(tmp_path, {"token_count": 20, "interval": 0.05}, **GUESSED) as (space, binary):
        polite = (await new_key(space, session))["key"]
        running = await first_line(space, session)
        headers = {**space.headers, "X-Queue-Status": "1"}

        async def followed() -> list[dict[str, Any]]:
            async with session.post(f"{space.url}/chat_api", json=HELLO, headers=headers) as response:
                return [json.loads(line) async for line in response.content]

        following = asyncio.create_task(followed())
        await until(lambda: generations(binary) == 2, 5)
        other = asyncio.create_task(ask_with(polite, space, session))
        lines = await following
        told = [line["status"] for line in lines if "status" in line]
        assert told[0] == "queued"
        assert told[-1] == "reading"
        assert lines[-1]["done"] is True
        assert (await other)[1]["done"] is True
        running.close()
