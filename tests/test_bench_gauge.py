"""What the benchmark reads from /proc, held against processes whose use is known."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench import gauge

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint('burnt', flush=True)\ninput()"
HOLD = "block = bytearray(64 << 20)\nblock[::4096] = b'x' * len(block[::4096])\nprint('held', flush=True)\ninput()"


@pytest.fixture
def child(request: pytest.FixtureRequest) -> Iterator[int]:
    """A process that has done what its script says, and waits."""
    argv = [sys.executable, "-c", request.param]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        yield running.pid
        running.kill()


@pytest.mark.parametrize("child", [BURN], indirect=True)
def test_processor_time_is_counted(child: int) -> None:
    assert 0.25 <= gauge.cpu_seconds([child]) < 1.5


@pytest.mark.parametrize("child", [HOLD], indirect=True)
def test_memory_is_counted_in_mebibytes(child: int) -> None:
    found = gauge.memory([child])
    assert 64 <= found.pss <= found.rss < 128


@pytest.mark.parametrize("child", [BURN], indirect=True)
def test_the_engine_is_left_out_of_the_tree(child: int) -> None:
    assert child in gauge.tree(os.getpid(), without="no such command")
    assert child not in gauge.tree(os.getpid(), without="process_time() < 0.3")


@pytest.mark.parametrize("child", [BURN], indirect=True)
def test_the_machine_is_busier_than_its_processes(child: int) -> None:
    everywhere = set(range(os.cpu_count() or 1))
    assert gauge.busy_seconds(everywhere) >= gauge.cpu_seconds([child])
    assert gauge.busy_seconds(set()) == 0


def test_what_was_waited_for_is_our_own() -> None:
    before = gauge.own_seconds()
    subprocess.run([sys.executable, "-c", BURN], input=b"\n", stdout=subprocess.DEVNULL, check=True)
    assert gauge.own_seconds() - before >= 0.25


def test_a_process_that_ended_counts_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert gauge.cpu_seconds([gone.pid]) == 0
    assert gauge.memory([gone.pid]) == gauge.Memory(0, 0)
