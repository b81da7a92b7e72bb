"""The way of a generation to the engine: a place in the queue, its model in memory, an eye on its first byte."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from ollamaspace.errors import EngineCrashed
from ollamaspace.gateway.admission import Admission, Place
from ollamaspace.gateway.leak_watch import LeakWatch, LetGo
from ollamaspace.gateway.loads import Loads
from ollamaspace.gateway.model_names import full_name

T = TypeVar("T")

Status = dict[str, str | int]
"""``{"status": "queued", "position": 2, "wait": 12}``; `wait` in seconds, absent as long as it cannot be estimated."""


@dataclass(frozen=True, slots=True)
class Gate:
    admission: Admission
    loads: Loads
    watch: LeakWatch
    spared: str | None = None
    """The key that need not queue here and whose models the engine loads by itself; None: every key queues."""

    def place(self, model: str, key: str) -> AbstractContextManager[Place]:
        """For the length of the generation. Raises TooMany or QueueFull at once."""
        return self.admission.place(full_name(model), key)

    async def turn(self, place: Place, tell: Callable[[Status], None]) -> None:
        """Returns when `place` is held; until then `tell` hears how it stands, at once and after every change."""
        told = None
        while not place.held:
            if (status := self._status(place)) != told:
                tell(status)
                told = status
            await place.moved()

    async def asked(self, model: str, key: str, size: int, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` returns, which is done when the first byte is there; `size` is that of the request, in bytes.

        Asks again where the engine had lost the slot. Raises EngineError when the model cannot be loaded.
        """
        while True:
            await self.watch.mended()
            try:
                if key != self.spared:
                    await self.loads.in_memory(model)
                with self.watch.first_byte(model, size):
                    answer = await ask()
            except LetGo:
                continue
            except EngineCrashed:
                self.loads.forget()
                raise
            self.loads.seen(model)
            return answer

    def _status(self, place: Place) -> Status:
        status: Status = {"status": "queued", "position": place.position}
        if (wait := self.admission.estimate(place)) is not None:
            status["wait"] = math.ceil(wait)
        return status
