"""The life of one start: its misdeeds before it listens, signals, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from tests.fake_engine.engine import VERSION, Engine, say, slog
from tests.fake_engine.journal import JournalWriter
from tests.fake_engine.scenario import Scenario, ScenarioFile
from tests.fake_engine.server import Server
from tests.fake_engine.wire import Connection

BACKLOG = 1024
DEFAULT_PORT = 11434
PANIC = 2
"""The exit code of a Go program that panics."""

FLOODS = {
    "lines": b"time=now level=INFO msg=flood " + b"x" * 69 + b"\n",
    "long": b"x" * 1_000_000,
    "binary": b"\xff\xfe\x80\xc3(\n" * 32,
    "ansi": b"\x1b[31m\x1b]0;title\x07\x08\x9b2J\r\x00bell\x1b[0m\n" * 8,
}


def start(scenario_path: Path) -> None:
    """Returns only when the engine has stopped in an orderly way."""
    file = ScenarioFile(scenario_path)
    journal = JournalWriter(scenario_path.with_name("journal.jsonl"))
    starts = journal.count("started") + 1
    journal.note(
        "started",
        argv=sys.argv,
        environ=dict(os.environ),
        cwd=str(Path.cwd()),
        group=os.getpgrp(),
        session=os.getsid(0),
        parent=os.getppid(),
    )
    engine = Engine(file, journal)
    scenario = engine.scenario
    if scenario.last_words:
        say(scenario.last_words)
    if scenario.exit_code is not None:
        engine.leave(scenario.exit_code, "as the scenario says")
    if scenario.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _check_home(engine)
    if starts <= scenario.fail_before_bind:
        engine.leave(1, "before listening")
    time.sleep(scenario.bind_delay)
    listener = _listen(engine)
    if starts <= scenario.fail_after_bind:
        time.sleep(0.05)
        engine.leave(1, "after listening")
    _flood(scenario, journal)
    asyncio.run(_serve(engine, listener, starts))


def _check_home(engine: Engine) -> None:
    if not os.environ.get("HOME"):
        say("panic: $HOME is not defined\n\ngoroutine 1 [running]:")
        engine.leave(PANIC, "no HOME")
    models = os.environ.get("OLLAMA_MODELS")
    if models:
        try:
            Path(models).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            say(f"Error: mkdir {models}: {str(error.strerror).lower()}: ensure path elements are traversable")
            engine.leave(1, "no models folder")


def _listen(engine: Engine) -> socket.socket:
    host, _, text = os.environ.get("OLLAMA_HOST", "127.0.0.1").removeprefix("http://").partition(":")
    port = int(text or DEFAULT_PORT)
    if not 0 <= port <= 65535:
        slog(f"invalid port, using default port={text} default={DEFAULT_PORT}", "WARN")
        port = DEFAULT_PORT
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        say(f"Error: listen tcp {host}:{port}: bind: {str(error.strerror).lower()}")
        engine.leave(1, "cannot listen")
    host, port = listener.getsockname()
    slog(f"Listening on {host}:{port} (version {VERSION})")
    engine.journal.note("listening", port=port)
    return listener


async def _serve(engine: Engine, listener: socket.socket, starts: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, engine, stop, number)
    scenario = engine.scenario
    engine.runner.start(scenario)
    await asyncio.sleep(scenario.serve_delay)
    server = Server(engine)
    peers: set[Connection] = set()
    await loop.create_server(lambda: Connection(server.handle, peers), sock=listener, backlog=BACKLOG)
    engine.journal.note("serving")
    if scenario.die_after is not None and (scenario.die_times is None or starts <= scenario.die_times):
        loop.call_later(scenario.die_after, engine.leave, scenario.die_code, "its time has come")
    await stop.wait()
    engine.stopping = True
    listener.close()
    for peer in list(peers):
        peer.close()
    engine.runner.kill()
    await asyncio.sleep(engine.scenario.stop_delay)
    engine.leave(0, "asked to stop")


def _on_signal(engine: Engine, stop: asyncio.Event, number: signal.Signals) -> None:
    engine.journal.note("sigterm", signal=number.name)
    if not (engine.scenario.ignore_sigterm and number is signal.SIGTERM):
        stop.set()


def _flood(scenario: Scenario, journal: JournalWriter) -> None:
    if scenario.flood:
        threading.Thread(target=_write_flood, args=(scenario, journal), daemon=True).start()


def _write_flood(scenario: Scenario, journal: JournalWriter) -> None:
    """In a thread: a full pipe holds up the flood, and only the flood."""
    descriptor = {"stdout": 1, "stderr": 2}[scenario.flood]
    piece = FLOODS[scenario.flood_kind]
    begun, written, told = time.monotonic(), 0, 0
    while written < scenario.flood_bytes:
        written += os.write(descriptor, piece)
        if written - told >= scenario.flood_bytes // 20:
            told = written
            journal.note("flood", written=written)
        ahead = written / scenario.flood_rate - (time.monotonic() - begun)
        if ahead > 0.01:
            time.sleep(ahead)
    journal.note("flood", written=written, over=True)
