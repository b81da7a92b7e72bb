"""`pull` through the real command: with an engine of its own, beside a server, on a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from pathlib import Path

import aiohttp

from tests.commands import run, surroundings
from tests.fake_engine import Journal, make_binary
from tests.space import started

MODEL = "tinyllama:1b"


async def test_it_starts_an_engine_for_the_purpose_and_ends_it(tmp_path: Path) -> None:
    binary = make_binary(tmp_path)
    ran = await run(tmp_path, "pull", MODEL, binary=binary)
    assert (ran.code, ran.out) == (0, "")
    said = [json.loads(line)["msg"] for line in ran.err.splitlines()]
    assert f"pulled {MODEL}" in said
    assert len([line for line in said if line.startswith(f"{MODEL}: ")]) <= 11
    journal = Journal(binary)
    assert journal.requests("/api/pull")[0]["body"] == {"model": MODEL}
    assert journal.events("exiting")[0]["why"] == "asked to stop"


async def test_beside_a_server_it_uses_the_servers_engine(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Also where the settings say that an engine is to be started."""
    binary = make_binary(tmp_path)
    async with started(tmp_path, binary) as space:
        environ = {"OLLAMA_HOST": f"127.0.0.1:{space.engine_port}", "OLLAMASPACE_ENGINE": "ollama"}
        ran = await run(tmp_path, "pull", MODEL, binary=binary, environ=environ)
        assert ran.code == 0
        async with session.get(f"{space.url}/space/models", headers=space.headers) as response:
            assert MODEL in [model["name"] for model in await response.json()]
    assert len(Journal(binary).events("started")) == 1


async def test_a_failure_is_1_and_a_sentence(tmp_path: Path) -> None:
    ran = await run(tmp_path, "pull", MODEL, binary=make_binary(tmp_path, pull="unknown"))
    assert ran.code == 1
    assert f"\n{MODEL} could not be pulled: The library has no model of this name.\n" in ran.err


async def test_a_stall_is_a_failure_too(tmp_path: Path) -> None:
    ran = await run(tmp_path, "pull", MODEL, "--stall", "0.4", binary=make_binary(tmp_path, pull="stall"))
    assert ran.code == 1
    assert "has not moved for 0.4 seconds" in ran.err


async def test_on_a_terminal_there_is_one_live_line(tmp_path: Path) -> None:
    binary = make_binary(tmp_path, pull_time=0.6)
    reading, writing = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ollamaspace", "pull", MODEL),
        cwd=tmp_path,
        env=surroundings(tmp_path, binary),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=writing,
    )
    os.close(writing)
    said = await asyncio.to_thread(_read_to_the_end, reading)
    assert await process.wait() == 0
    assert said.count("\n") == 1
    assert said.count(f"\r\033[K  {MODEL}: ") > 3
    assert " of 98.4 MB" in said
    assert " left" in said


def _read_to_the_end(descriptor: int) -> str:
    pieces = []
    try:
        while piece := os.read(descriptor, 65536):
            pieces.append(piece)
    except OSError:  # Linux's way to say that nobody holds the other end any more
        pieces.append(b"")
    finally:
        os.close(descriptor)
    return b"".join(pieces).decode().replace("\r\n", "\n")
