"""One relay, one round: start it, let it rest, load it, read what it used, stop it.

The relay has a processor of its own; engine, readers and this process share the other.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import gauge
from bench.load import Order, Outcome
from bench.relays import ENGINE, HERE, Command, Ground, environment

KEY = "bench-key-bench-key-bench-key-0123"
APART = 0.002
REST = 2.0
START_LIMIT = 30.0
STOP_LIMIT = 15.0
STREAM_LIMIT = 120.0
SAMPLE_EVERY = 1.0


@dataclass(frozen=True)
class Shape:
    """How many streams, tokens a second in each, for how many seconds."""

    streams: int
    rate: int
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.streams} x {self.rate}/s"


@dataclass(frozen=True)
class Processors:
    relay: int
    rest: int


@dataclass(frozen=True)
class Result:
    relay: str
    shape: str
    wanted: int
    cpu_us: float
    """Processor time a relayed token, microseconds."""
    opened_ms: float
    """From the start of the process to the open port."""
    rest_pss: float
    rest_rss: float
    load_pss: float
    load_rss: float
    others: float
    """Processors kept busy by others meanwhile: they make tokens late, and late ones come in clumps and cost less."""
    outcome: Outcome


@dataclass(frozen=True)
class Use:
    """What one load took: processor seconds of the relay, its largest memory, and what the readers saw."""

    cpu: float
    memory: gauge.Memory
    outcome: Outcome
    seconds: float
    others: float


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def engine_script(folder: Path, processor: int) -> Path:
    """An executable that behaves as `ollama` does on the command line and stays off the relay's processor."""
    script = folder / "engine"
    script.write_text(f'#!/bin/sh\nexec taskset -c {processor} "{sys.executable}" "{ENGINE}" "$@"\n')
    script.chmod(0o755)
    return script


@contextlib.contextmanager
def running(argv: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child that is stopped at the end, and whose last words are shown if it failed."""
    with log.open("wb") as words:
        child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
        try:
            yield child
        except Exception:  # shown with the child's own words, and raised again
            print(log.read_text(errors="replace")[-2000:], file=sys.stderr)
            raise
        finally:
            child.terminate()
            try:
                child.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def wait_for_port(child: subprocess.Popen[bytes], port: int) -> None:
    give_up = time.monotonic() + START_LIMIT
    while child.poll() is None and time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.002)
    raise RuntimeError(f"port {port} did not open")


@contextlib.contextmanager
def engine(folder: Path, processors: Processors) -> Iterator[tuple[Path, str]]:
    binary = engine_script(folder, processors.rest)
    port = free_port()
    env = {"OLLAMA_HOST": f"127.0.0.1:{port}", "PATH": "/usr/bin:/bin"}
    with running([str(binary), "serve"], env, folder / "engine.log") as child:
        wait_for_port(child, port)
        yield binary, f"127.0.0.1:{port}"


def measure(name: str, build: Callable[[Ground], Command], shape: Shape, processors: Processors) -> Result:
    with tempfile.TemporaryDirectory(prefix="bench-") as place, engine(Path(place), processors) as (binary, address):
        folder = Path(place)
        folder.chmod(0o755)  # nginx's worker is another user
        ground = Ground(folder, free_port(), address, binary, f"127.0.0.1:{free_port()}", KEY)
        command = build(ground)
        argv = ["taskset", "-c", str(processors.relay), *command.argv]
        started = time.monotonic()
        with running(argv, environment(command), folder / f"{name}.log") as child:
            wait_for_port(child, ground.port)
            opened_ms = (time.monotonic() - started) * 1000
            idle, rest = _at_rest(child.pid)
            use = _under_load(_pids(child.pid), _order(ground.port, command, shape), processors)
    return Result(
        relay=name,
        shape=shape.name,
        wanted=shape.streams,
        cpu_us=(use.cpu - idle * use.seconds) / max(use.outcome.tokens, 1) * 1e6,
        opened_ms=opened_ms,
        rest_pss=rest.pss,
        rest_rss=rest.rss,
        load_pss=use.memory.pss,
        load_rss=use.memory.rss,
        others=use.others,
        outcome=use.outcome,
    )


def measure_direct(shape: Shape, processors: Processors) -> Result:
    """The engine itself: what the readers would see without any relay, and so what there is to add to."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place, engine(Path(place), processors) as (_, address):
        port = int(address.rpartition(":")[2])
        use = _under_load([], _order(port, Command([], "/api/chat"), shape), processors)
    return Result("direct", shape.name, shape.streams, 0, 0, 0, 0, 0, 0, use.others, use.outcome)


def _order(port: int, command: Command, shape: Shape) -> Order:
    tokens = round(shape.rate * shape.seconds)
    return Order(port, command.path, command.key or KEY, shape.streams, shape.rate, tokens, APART, STREAM_LIMIT)


def _pids(root: int) -> list[int]:
    return gauge.tree(root, without=str(ENGINE))


def _at_rest(root: int) -> tuple[float, gauge.Memory]:
    """Seconds of processor time a second, and memory, with nobody there."""
    time.sleep(REST / 2)
    before = gauge.cpu_seconds(_pids(root))
    time.sleep(REST)
    pids = _pids(root)
    return (gauge.cpu_seconds(pids) - before) / REST, gauge.memory(pids)


def _under_load(pids: list[int], order: Order, processors: Processors) -> Use:
    both = {processors.relay, processors.rest}
    started, before = time.monotonic(), gauge.cpu_seconds(pids)
    strangers = gauge.busy_seconds(both) - gauge.own_seconds()
    memory, outcome = _run_load(pids, order)
    seconds = time.monotonic() - started
    strangers = gauge.busy_seconds(both) - gauge.own_seconds() - strangers
    return Use(gauge.cpu_seconds(pids) - before, memory, outcome, seconds, max(strangers, 0) / seconds)


def _run_load(pids: list[int], order: Order) -> tuple[gauge.Memory, Outcome]:
    argv = [sys.executable, "-m", "bench.load", json.dumps(asdict(order))]
    largest = gauge.Memory(0, 0)
    with subprocess.Popen(argv, cwd=HERE.parent, stdout=subprocess.PIPE) as load:
        while load.poll() is None:
            time.sleep(SAMPLE_EVERY)
            largest = max(largest, gauge.memory(pids), key=lambda memory: memory.rss)
        words, _ = load.communicate()
    if load.returncode:
        raise RuntimeError(f"the readers ended with {load.returncode}")
    return largest, Outcome(**json.loads(words))
