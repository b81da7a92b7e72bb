"""Permission to generate, a queue a model: first come, first served, and no word to those who wait.

A slot can be lost for ever, which is how Ollama behaves when a reader leaves at a bad moment.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    def __init__(self) -> None:
        self._busy = 0
        self._lost = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, limit: int) -> None:
        """0: no limit, though one lost slot then still stops everybody."""
        if self._waiting or self._full(limit):
            await self._turn(limit)
        self._busy += 1

    async def _turn(self, limit: int) -> None:
        while True:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._leave(turn)
                raise
            if not self._full(limit):
                return

    def _leave(self, turn: asyncio.Future[None]) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        else:
            self._wake()  # our turn had come; the next one gets it

    def give(self) -> None:
        self._busy -= 1
        self._wake()

    def lose(self) -> None:
        self._busy -= 1
        self._lost += 1

    def restore(self) -> None:
        """What an unload does: the lost ones are back."""
        self._lost = 0
        for _ in range(len(self._waiting)):
            self._wake()

    def _full(self, limit: int) -> bool:
        return self._busy + self._lost >= limit if limit else self._lost > 0

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
