"""A pull in words: one live line on a terminal, a log line every ten per cent elsewhere."""

from __future__ import annotations

import io
import logging
import os
import pty
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from ollamaspace.cli.progress import PullTeller, described, duration, size
from ollamaspace.models.pulls import Progress

GB = 10**9


def at(done: int, total: int = 2 * GB, status: str = "pulling a") -> Progress:
    progress = Progress("big:70b")
    progress.take({"status": status, "digest": "sha256:a", "total": total, "completed": done})
    return progress


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (98_362_432, "98.4 MB"), (2.5e9, "2.5 GB"), (4e12, "4000.0 GB")],
)
def test_sizes(count: float, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_percent_bytes_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("ollamaspace.models.pulls.time.monotonic", lambda: now)
    progress = at(0)
    for step in range(1, 11):
        now += 0.1
        progress.take({"status": "pulling a", "digest": "sha256:a", "total": 2 * GB, "completed": step * 10**7})
    assert described(progress) == "5 %, 100.0 MB of 2.0 GB, 100.0 MB/s, 19 s left"


def test_before_there_is_anything_to_count_the_engines_word_stands() -> None:
    progress = Progress("big:70b")
    progress.take({"status": "pulling manifest"})
    assert described(progress) == "pulling manifest"
    assert described(at(2 * GB, status="verifying")).endswith("100 %, 2.0 GB of 2.0 GB, verifying")


def test_elsewhere_every_tenth_is_one_line_and_each_pull_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    teller = PullTeller(io.StringIO())
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            progress = at(0)
            for percent in range(101):
                progress.take({"digest": "sha256:a", "total": 2 * GB, "completed": percent * 2 * GB // 100})
                teller(progress)
                teller(progress)
    shown = [record.getMessage().split(",")[0] for record in caplog.records]
    assert shown == [f"big:70b: {tenth}0 %".replace(" 00", " 0") for tenth in range(11)] * 2


@pytest.fixture
def terminal() -> Iterator[tuple[TextIO, int]]:
    """The end to write to, and the descriptor to read from."""
    reading, writing = pty.openpty()
    with open(writing, "w", encoding="utf-8") as out:
        yield out, reading
    os.close(reading)


def drawn(descriptor: int) -> str:
    """All that was drawn; a terminal may hand it over in pieces."""
    said = b""
    while select.select([descriptor], [], [], 0.3)[0]:
        said += os.read(descriptor, 65536)
    return said.decode().replace("\r\n", "\n")


def test_on_a_terminal_one_line_is_drawn_again_and_again(
    terminal: tuple[TextIO, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, reading = terminal
    monkeypatch.setattr("ollamaspace.cli.progress.time.monotonic", lambda: 1000.0)
    teller = PullTeller(out)
    progress = at(GB)
    for _ in range(50):  # far more often than anybody can read
        teller(progress)
    progress.take({"status": "success"})
    teller(progress)
    said = drawn(reading)
    assert said.count("\r\033[K") == 2
    assert said.count("\n") == 1
    assert said.endswith("success\n")


def test_a_failure_ends_the_line(terminal: tuple[TextIO, int]) -> None:
    out, reading = terminal
    teller = PullTeller(out)
    progress = at(GB)
    teller(progress)
    progress.error = "It broke."
    teller(progress)
    assert drawn(reading).endswith("\n")


def test_the_engines_words_neither_wrap_nor_paint(terminal: tuple[TextIO, int]) -> None:
    out, reading = terminal
    progress = Progress("big:70b")
    progress.take({"status": "\x1b[31m\n" + "x" * 500})
    PullTeller(out)(progress)
    said = drawn(reading).removeprefix("\r\033[K")
    assert "\x1b" not in said
    assert "\n" not in said
    assert len(said) < 200


@pytest.mark.skipif(sys.platform != "linux", reason="a terminal that hangs up fails differently elsewhere")
def test_a_terminal_that_is_gone_does_not_stop_a_download(tmp_path: Path) -> None:
    reading, writing = pty.openpty()
    out = os.fdopen(writing, "w", encoding="utf-8")
    teller = PullTeller(out)
    os.close(reading)
    teller(at(GB))
    teller(at(2 * GB))
    try:
        out.close()
    except OSError:  # what could not be written is tried once more
        assert out.closed
