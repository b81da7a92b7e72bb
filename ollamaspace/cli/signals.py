"""How the process is asked to end: the first SIGTERM or SIGINT means in order, the second means now.

A hangup of the terminal is a wish to end in order too, unless whoever started us had it ignored (nohup).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

EXIT_AT_ONCE = 130


class Signals:
    """`stop` is set by the first one; `at_once` is called by the second, before the process is gone."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.at_once: Callable[[], None] = lambda: None

    def listen(self) -> None:
        """From now on. As process 1 a signal that nobody listens to is lost, so this comes before anything slow."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._came)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self.stop.set)

    def _came(self) -> None:
        if self.stop.is_set():
            # The kernel closes what is open, and the lifeline sees to what is left.
            self.at_once()
            os._exit(EXIT_AT_ONCE)
        self.stop.set()
