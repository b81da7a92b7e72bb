"""`doctor` finds each problem by itself and says what to do about it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import aiohttp

from tests.commands import run
from tests.fake_engine import free_port, make_binary, running, scripted
from tests.space import ask, started


def ollama(folder: Path, says: str = "ollama version is 0.34.2") -> Path:
    binary = folder / "ollama"
    binary.write_text(f"#!/bin/sh\necho '{says}'\n", "utf-8")
    binary.chmod(0o755)
    return binary


async def test_all_is_well(tmp_path: Path) -> None:
    ran = await run(tmp_path, "doctor", binary=ollama(tmp_path))
    assert ran.code == 0, ran.said
    assert "Nothing stands in the way of `serve`." in ran.out
    assert f"Ollama 0.34.2 at {tmp_path / 'ollama'}; it is not running now" in ran.out
    for what in ("data folder", "port", "engine", "models", "disk", "memory"):
        assert f"\n  {what} " in f"\n{ran.out}".replace("\n~", "\n ")


async def test_a_program_that_is_no_ollama_is_said_so(tmp_path: Path) -> None:
    ran = await run(tmp_path, "doctor", binary=ollama(tmp_path, "hello"))
    assert "does not say its version" in ran.out


async def test_no_engine(tmp_path: Path) -> None:
    ran = await run(tmp_path, "doctor", environ={"OLLAMASPACE_ENGINE": "ollama", "PATH": "/nowhere"})
    assert ran.code == 1
    assert "! engine       none that can be used" in ran.out
    assert "nstall Ollama" in ran.out
    assert "1 thing has to be mended" in ran.out


async def test_a_program_that_cannot_be_executed(tmp_path: Path) -> None:
    binary = ollama(tmp_path)
    binary.chmod(0o644)
    ran = await run(tmp_path, "doctor", binary=binary)
    assert ran.code == 1
    assert "chmod +x" in ran.out


async def test_ports_that_somebody_holds(tmp_path: Path) -> None:
    with socket.socket() as gateway, socket.socket() as engine:
        for holder in (gateway, engine):
            holder.bind(("127.0.0.1", 0))
            holder.listen()
        ours, theirs = gateway.getsockname()[1], engine.getsockname()[1]
        environ = {"OLLAMASPACE_PORT": str(ours), "OLLAMA_HOST": f"127.0.0.1:{theirs}"}
        ran = await run(tmp_path, "doctor", binary=ollama(tmp_path), environ=environ)
    assert ran.code == 1
    assert f"127.0.0.1:{ours} is held by" in ran.out
    assert "choose another with --port" in ran.out
    assert f"port {theirs} " in ran.out.lower()
    assert "2 things have to be mended" in ran.out


async def test_a_data_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    environ = {"OLLAMASPACE_DATA_DIR": str(tmp_path / "file")}
    ran = await run(tmp_path, "doctor", binary=ollama(tmp_path), environ=environ)
    assert ran.code == 1
    assert "! data folder  cannot be used" in ran.out
    assert "Set OLLAMASPACE_DATA_DIR" in ran.out


async def test_an_external_engine_that_does_not_answer(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ran = await run(tmp_path, "doctor", environ={"OLLAMASPACE_OLLAMA_URL": url})
    assert ran.code == 1
    assert f"{url} does not answer" in ran.out


async def test_an_engine_whose_models_cannot_be_listed(tmp_path: Path) -> None:
    async with running(tmp_path, scripted={"/api/tags": scripted.failing(500)}) as engine:
        ran = await run(tmp_path, "doctor", environ={"OLLAMASPACE_OLLAMA_URL": engine.url})
    assert ran.code == 1
    assert "! models       cannot be listed" in ran.out


async def test_beside_a_running_server_all_is_well(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    binary = make_binary(tmp_path)
    async with started(tmp_path, binary) as space:
        await ask(space, session)
        environ = {
            "OLLAMASPACE_PORT": str(space.port),
            "OLLAMA_HOST": f"127.0.0.1:{space.engine_port}",
            "OLLAMASPACE_ENGINE": "ollama",
        }
        ran = await run(tmp_path, "doctor", binary=binary, environ=environ)
    assert ran.code == 0, ran.said
    assert f"OllamaSpace is running at 127.0.0.1:{space.port}" in ran.out
    assert "thinker:1b (" in ran.out


async def test_a_misspelt_setting_is_shown_and_stops_nothing(tmp_path: Path) -> None:
    ran = await run(tmp_path, "doctor", binary=ollama(tmp_path), environ={"OLLAMASPACE_PROT": "1"})
    assert ran.code == 0, ran.said
    assert "~ settings     OLLAMASPACE_PROT is not a setting" in ran.out


async def test_words_of_an_engine_paint_nothing(tmp_path: Path) -> None:
    tags = '{"models":[{"name":"a\\u001b[31m:1","size":1}]}'
    async with running(tmp_path, scripted={"/api/tags": {"body": tags}}) as engine:
        ran = await run(tmp_path, "doctor", environ={"OLLAMASPACE_OLLAMA_URL": engine.url})
    assert "\x1b" not in ran.out
    assert os.linesep in ran.out
