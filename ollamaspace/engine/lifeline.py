"""What ends the engine when we cannot: a shell that waits for our death.

It holds the read end of a pipe whose only write end is ours, and is told the group of each engine. When the write
end closes because this process is gone, it kills that group. PDEATHSIG would take the engine and leave its runners.
"""

from __future__ import annotations

import asyncio
import logging
import os
from asyncio.subprocess import DEVNULL, Process

log = logging.getLogger("ollamaspace.engine")

# `read` returns non-zero at the end of the pipe. An empty line says that there is nothing to kill.
_SCRIPT = 'while read -r group; do last=$group; done; [ -z "$last" ] || kill -KILL -- "-$last"'


class Lifeline:
    """One for the life of this process. `writing` is the pipe's end that a child must not inherit."""

    def __init__(self, guard: Process, writing: int) -> None:
        self._guard = guard
        self.writing = writing

    @classmethod
    async def open(cls) -> Lifeline:
        reading, writing = os.pipe()
        try:
            guard = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", _SCRIPT, stdin=reading, stdout=DEVNULL, stderr=DEVNULL, env={}, start_new_session=True
            )
        finally:
            os.close(reading)
        return cls(guard, writing)

    @property
    def pid(self) -> int:
        return self._guard.pid

    def announce(self) -> None:
        """Called in the child between fork and exec: from then on there is no moment without a guard."""
        os.write(self.writing, b"%d\n" % os.getpid())

    def forget(self) -> None:
        """The group is empty; its number may soon be somebody else's."""
        try:
            os.write(self.writing, b"\n")
        except BrokenPipeError:
            log.error("the guard of the engine's processes is gone")

    async def close(self) -> None:
        self.forget()
        os.close(self.writing)
        try:
            async with asyncio.timeout(1):
                await self._guard.wait()
        except TimeoutError:
            self._guard.kill()
            await self._guard.wait()
