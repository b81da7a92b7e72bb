"""One run of the engine as a process group: spawn, wait, stop ladder. No policy: that is the supervisor's.

The child leads a session and a group of its own. Whatever it starts is in that group and ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence

from ollamaspace.engine import group
from ollamaspace.engine.lifeline import Lifeline
from ollamaspace.engine.output import Output

log = logging.getLogger("ollamaspace.engine")

_EMPTY_WITHIN = 5.0  # seconds until a group that got SIGKILL must be empty
_POLL = 0.02
_OOM_SCORE = 500  # out of memory, the kernel shall take the engine and not its guard
_PR_SET_CHILD_SUBREAPER = 36


class EngineProcess:
    """A started engine. `group` is the number of its process group, `command` its argument list."""

    def __init__(self, process: Process, output: asyncio.ReadTransport, lifeline: Lifeline) -> None:
        self._process = process
        self._output = output
        self._lifeline = lifeline
        self.group = process.pid
        self.exited: asyncio.Task[int] = asyncio.create_task(process.wait(), name="engine exit")

    @classmethod
    async def spawn(
        cls, command: Sequence[str], environment: Mapping[str, str], output: Output, lifeline: Lifeline
    ) -> EngineProcess:
        """Raises OSError when the program cannot be executed."""
        writing, transport = await output.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                stdin=DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
                # Safe here although threads exist: it makes two system calls and takes no lock.
                preexec_fn=lifeline.announce,
            )
        except BaseException:
            transport.close()
            raise
        finally:
            os.close(writing)
        _prefer_for_oom(process.pid)
        return cls(process, transport, lifeline)

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode
        if code is None:
            return "is running"
        if code < 0:
            return f"was ended by signal {-code}"
        return f"exited with status {code}"

    async def reap_orphans(self) -> None:
        await asyncio.to_thread(reap_orphans, {self.group, self._lifeline.pid})

    async def owns(self, port: int) -> bool:
        """Whether the listener on `port` is ours; true where that cannot be told."""
        return await asyncio.to_thread(group.owns_listener, self.group, port) is not False

    async def stop(self, grace: float) -> None:
        """SIGTERM to the group, `grace` seconds (of real time), SIGKILL, then wait until nobody is left."""
        if not self.exited.done():
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # a stopped process keeps SIGTERM pending until it is continued
            await asyncio.wait({self.exited}, timeout=grace)
        await self.clear()

    async def clear(self) -> None:
        """End whatever is left of the group, runners of a dead engine included. Returns when it is empty."""
        deadline = time.monotonic() + _EMPTY_WITHIN
        while True:
            self.kill()
            await asyncio.wait({self.exited}, timeout=_POLL)
            left = await asyncio.to_thread(group.members, self.group)
            adopted = await asyncio.to_thread(_end_strangers, {self.group, self._lifeline.pid})
            if self.exited.done() and not left and not adopted:
                break
            if time.monotonic() > deadline:
                log.error("processes of the engine do not end: %s", left or adopted)
                break
        self._lifeline.forget()
        self._output.close()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Gone, or (macOS) only zombies left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, number)


def _prefer_for_oom(pid: int) -> None:
    # No /proc, or the child is gone already.
    with contextlib.suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(_OOM_SCORE))


def become_subreaper() -> None:
    """Let orphans of the engine, also those that left its group, become our children, so that they can be ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(known: set[int]) -> None:
    """Ask after dead children that we did not start; nobody else would, and they would stay zombies."""
    for entry in group.children(os.getpid()):
        if entry.pid not in known and not entry.alive:
            with contextlib.suppress(OSError):
                os.waitpid(entry.pid, os.WNOHANG)


def _end_strangers(known: set[int]) -> list[int]:
    """Kill and reap orphans that came to us as subreaper or as process 1. Returns those still alive.

    Known children are left to asyncio, which waits for them itself.
    """
    alive = [entry.pid for entry in group.children(os.getpid()) if entry.pid not in known and entry.alive]
    for pid in alive:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    reap_orphans(known)
    return alive
