"""Keeps an engine of our own alive.

`run` is the only writer of the engine's standing. It starts a process, waits until the port is answered by that very
process, watches it, and after its end clears its group before the next start. Others read the standing, await
`ready()`, or ask by `restart()` and `stop()`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ollamaspace.config import EngineAddress
from ollamaspace.engine import ports
from ollamaspace.engine.client import EngineClient
from ollamaspace.engine.lifeline import Lifeline
from ollamaspace.engine.output import Output
from ollamaspace.engine.process import EngineProcess
from ollamaspace.engine.state import Standing, State
from ollamaspace.errors import NoEngine

log = logging.getLogger("ollamaspace.engine")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, all of them; the numbers are explained in docs/architecture.md."""

    start: float = 120.0
    probe_first: float = 0.01
    probe_growth: float = 1.6
    probe_most: float = 0.5
    probe_every: float = 5.0
    probe_timeout: float = 2.0
    misses: int = 3
    backoff: float = 0.5
    backoff_most: float = 30.0
    steady: float = 10.0
    flap_runs: int = 5
    flap_window: float = 60.0
    flap_pause: float = 30.0
    cannot_run_pause: float = 30.0
    stop_restart: float = 5.0
    stop_shutdown: float = 2.0


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started: its arguments, its whole environment, where it will listen."""

    command: Sequence[str]
    environment: Mapping[str, str]
    address: EngineAddress


class _Ended(Exception):
    """This run is over; the text says why."""


class Supervisor:
    """One engine, restarted for as long as the process lives."""

    supervised = True

    def __init__(self, launch: Launch, client: EngineClient, standing: Standing, timing: Timing) -> None:
        self.standing = standing
        self.output = Output()
        self.process: EngineProcess | None = None
        self._launch = launch
        self._client = client
        self._timing = timing
        self._clock = standing.clock
        self._born = self._clock.now()
        self._failures = 0
        self._deaths: deque[float] = deque(maxlen=timing.flap_runs)
        self._flapping = False
        self._stopping = False
        self._wake: asyncio.Future[str] | None = None

    async def ready(self, within: float) -> None:
        await self.standing.ready(within)

    async def doubted(self) -> None:
        await self.standing.doubted()

    def restart(self, reason: str) -> None:
        """Ask for a restart of an engine that answers but does not work."""
        self._interrupt(reason)

    def stop(self) -> None:
        """Ask for the end: `run` returns once the group is empty."""
        self._stopping = True
        self._interrupt("shutting down")

    def kill(self) -> None:
        """SIGKILL to the group, now; for the second signal."""
        if self.process is not None:
            self.process.kill()

    async def run(self) -> None:
        """Raises NoEngine when the engine has never been ready within the time for the first start."""
        lifeline = await Lifeline.open()
        try:
            while not self._stopping:
                try:
                    await self._one_run(lifeline)
                except _Ended as end:
                    await self._pause(str(end))
                except OSError as error:
                    await self._cannot_run(error)
        finally:
            self.standing.move(State.STOPPED)
            await lifeline.close()

    async def _one_run(self, lifeline: Lifeline) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        if self._stopping:
            return
        self.standing.move(State.STARTING)
        launch = self._launch
        if not ports.is_free(launch.address):
            raise _Ended(f"port {launch.address.port} is held by {await ports.holder(launch.address.port)}")
        self.process = process = await EngineProcess.spawn(launch.command, launch.environment, self.output, lifeline)
        try:
            await self._until_ready(process)
            self.standing.move(State.READY)
            try:
                await self._watch(process)
            finally:
                self._judge_run()
        except _Ended as end:
            # Said before the group is cleared, which takes a moment: nobody shall be sent to a dead engine meanwhile.
            self.standing.move(*((State.STOPPING, None) if self._stopping else (State.BACKOFF, str(end))))
            raise
        finally:
            await process.stop(self._clock.real(self._grace()))
            self.process = None

    async def _until_ready(self, process: EngineProcess) -> None:
        """Ready: our child is alive, /api/version gives a version, the listener is ours, the child is still alive."""
        deadline = self._clock.now() + self._timing.start
        if not self.standing.been_ready:
            deadline = self._born + self._timing.start
        delay = self._timing.probe_first
        while self._clock.now() < deadline:
            version = await self._probe(process)
            if version and await process.owns(self._launch.address.port) and not process.exited.done():
                self.standing.version = version
                return
            await self._sleep(delay, process)
            delay = min(delay * self._timing.probe_growth, self._timing.probe_most)
        raise _Ended(f"it did not answer within {self._timing.start:g} s")

    async def _watch(self, process: EngineProcess) -> None:
        """Probe until the process ends, hangs, or its restart is asked for; always raises _Ended."""
        misses = 0
        while misses < self._timing.misses:
            await self._sleep(self._timing.probe_every, process)
            await process.reap_orphans()
            misses = 0 if await self._probe(process) else misses + 1
            if self._flapping and self._clock.now() - self.standing.since >= self._timing.flap_window:
                self._flapping = False
                self._deaths.clear()
        raise _Ended("it stopped answering")

    async def _probe(self, process: EngineProcess) -> str | None:
        """The engine's version, if it gives one; the end of the process or a wish of ours cuts the wait short."""
        assert self._wake is not None
        asking = asyncio.create_task(self._client.version(self._clock.real(self._timing.probe_timeout)))
        try:
            waited: set[asyncio.Future[Any]] = {asking, process.exited, self._wake}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else None
        finally:
            asking.cancel()

    async def _sleep(self, seconds: float, process: EngineProcess | None = None) -> None:
        """Raises _Ended early when the process ends or somebody asks for something."""
        assert self._wake is not None
        waited: set[asyncio.Future[Any]] = {self._wake}
        if process is not None:
            waited.add(process.exited)
        await asyncio.wait(waited, timeout=self._clock.real(seconds), return_when=asyncio.FIRST_COMPLETED)
        if self._wake.done():
            raise _Ended(self._wake.result())
        if process is not None and process.exited.done():
            raise _Ended(f"it {process.ended}")

    def _interrupt(self, reason: str) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(reason)

    def _judge_run(self) -> None:
        """After a run that had been ready: forget earlier failures, or notice that this keeps happening."""
        now = self._clock.now()
        if now - self.standing.since >= self._timing.steady:
            self._failures = 0
        else:
            self._failures = max(1, self._failures)
        if not self._stopping:
            self._deaths.append(now)
        if len(self._deaths) == self._timing.flap_runs and now - self._deaths[0] <= self._timing.flap_window:
            self._flapping = True

    async def _pause(self, reason: str) -> None:
        if self._stopping:
            return
        delay = self._delay()
        if not self.standing.been_ready and self._clock.now() + delay >= self._born + self._timing.start:
            raise NoEngine(self._last_words(reason))
        if self._flapping:
            reason = f"it stopped {self._timing.flap_runs} times in a minute"
            await self._wait(State.FLAPPING, reason, self._timing.flap_pause)
        else:
            await self._wait(State.BACKOFF, reason, delay)
        self.standing.restarts += self.standing.been_ready

    async def _cannot_run(self, error: OSError) -> None:
        reason = f"{self._launch.command[0]} cannot be run: {error.strerror or error}"
        if not self.standing.been_ready:
            raise NoEngine(reason) from error
        await self._wait(State.CANNOT_RUN, reason, self._timing.cannot_run_pause)

    async def _wait(self, state: State, reason: str, pause: float) -> None:
        self.standing.move(state, reason, pause)
        self._wake = asyncio.get_running_loop().create_future()
        if self._stopping:
            return
        try:
            await self._sleep(pause)
        except _Ended:
            log.debug("woken while waiting to restart")

    def _delay(self) -> float:
        """0 after a healthy run, else 0.5, 1, 2, 4 … 30 s with a little chance added."""
        doublings = self._failures - self.standing.been_ready
        self._failures += 1
        if doublings < 0:
            return 0.0
        delay = min(self._timing.backoff * 2.0 ** min(doublings, 16), self._timing.backoff_most)
        return delay * random.uniform(1, 1.25)  # noqa: S311 - spreading, not a secret

    def _grace(self) -> float:
        return self._timing.stop_shutdown if self._stopping else self._timing.stop_restart

    def _last_words(self, reason: str) -> str:
        said = self.output.tail()
        return f"The engine did not become ready: {reason}." + (f" Its last words:\n{said}" if said else "")
