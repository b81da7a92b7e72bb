"""A pull in words: one live line on a terminal, a log line every ten per cent elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import TextIO

from ollamaspace.logs import escaped
from ollamaspace.models.pulls import Progress

log = logging.getLogger("ollamaspace.models")

_EVERY = 0.1  # seconds between two states of the live line
_COLUMNS = 80  # of a terminal that does not know its own width


class PullTeller:
    """Call it with the progress after each line of the engine's and at the end. One for any number of pulls."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._live = self._out is not None and self._out.isatty()
        self._of: Progress | None = None
        self._drawn = float("-inf")
        self._tenths = -1

    def __call__(self, progress: Progress) -> None:
        if progress is not self._of:
            self._of, self._drawn, self._tenths = progress, float("-inf"), -1
        if self._live:
            self._draw(progress)
        else:
            self._log(progress)

    def _draw(self, progress: Progress) -> None:
        now = time.monotonic()
        last = progress.error is not None or progress.status == "success"
        if now - self._drawn < _EVERY and not last:
            return
        self._drawn = now
        try:
            columns = os.get_terminal_size(self._out.fileno()).columns or _COLUMNS
            line = escaped(f"  {progress.model}: {described(progress)}")[: columns - 1]
            self._out.write(f"\r\033[K{line}" + ("\n" if last else ""))
            self._out.flush()
        except (OSError, ValueError):  # the terminal is gone; that is no reason to stop a download
            self._live = False

    def _log(self, progress: Progress) -> None:
        tenths = int(progress.completed * 10 / progress.total) if progress.total else -1
        if tenths > self._tenths:
            self._tenths = tenths
            log.info("%s: %s", progress.model, described(progress))


def described(progress: Progress) -> str:
    """``41 %, 0.9 of 2.3 GB, 12.4 MB/s, 2 min left``, or the engine's word while there is nothing to count."""
    total, done, rate = progress.total, progress.completed, progress.rate
    if not total:
        return progress.status
    parts = [f"{done * 100 // total} %", f"{size(done)} of {size(total)}"]
    if rate:
        parts += [f"{size(rate)}/s", f"{duration((total - done) / rate)} left"]
    if done >= total:
        parts.append(progress.status)
    return ", ".join(parts)


def size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
