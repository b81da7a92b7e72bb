"""Slots and queues before the engine: who may generate now, and who is next.

A model has so many slots and one bounded queue. A slot that comes free goes to the key that holds the fewest, of those
to the one that was served longest ago, and inside a key to whoever came first. No slot is free while somebody waits.
Nothing here knows of HTTP or of the engine: a queue outlives every restart of the engine by itself.

Where the number of slots is only a guess, one key may be elastic: alone, it is held by no guess, and how many of its
answers come at once tells what the engine can. As soon as somebody else wants the model it stands in line like
everybody, with those of its requests too that the engine has not begun to answer: their places are taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ollamaspace.errors import QueueFull, TooMany

DEFAULT_SLOTS = {"ollama": 1, "embedded": 2, "adopted": 4, "external": 4}
"""By kind of engine, where OLLAMA_NUM_PARALLEL is not given: Ollama's default, the embedded engine's, and a guess."""

_WEIGHT = 1 / 8  # of the newest hold in the moving average
_MOST_IDLE = 64  # models whose average is remembered while nobody asks for them
_RETRY_UNKNOWN, _RETRY_MOST = 5, 60  # seconds


def slots_of(kind: str, given: str | None) -> int:
    """`given` is OLLAMA_NUM_PARALLEL; what Ollama would not understand counts as absent, as it does there."""
    number = (given or "").strip(" \"'")
    return int(number) if number.isascii() and number.isdigit() and 0 < int(number) < 10_000 else DEFAULT_SLOTS[kind]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`queue`: places a model; `per_key`: places a key, over all models."""

    slots: int
    queue: int
    per_key: int


@dataclass(eq=False, slots=True)
class _Line:
    """One model. `waiting` holds only keys that have somebody waiting, the one served longest ago first."""

    waiting: dict[str, deque[Place]] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)
    elastic: dict[Place, None] = field(default_factory=dict)
    """The held places of the elastic key, in the order in which they came to be held."""
    running: int = 0
    begun: int = 0
    """How many of those are being answered."""
    slots: int = 0
    """At least so many answers the engine has been seen to give at once."""
    length: int = 0
    mean: float | None = None
    """Seconds that a slot is held, a moving average."""
    moved: asyncio.Event | None = None

    def last(self, key: str) -> None:
        """This key was served just now."""
        if (places := self.waiting.pop(key, None)) is not None:
            self.waiting[key] = places

    def tell(self) -> None:
        """Wake those who follow the queue."""
        if self.moved is not None:
            self.moved.set()
            self.moved = None


class Place:
    """One request's place: waiting, then held, then given back by the block that took it."""

    __slots__ = ("_granted", "_line", "begun", "held", "key", "model", "since", "taken_back", "waited")

    def __init__(self, model: str, key: str, line: _Line, since: float) -> None:
        self.model, self.key, self._line = model, key, line
        self.since = since
        """When it came to wait, and when it came to be held."""
        self.held = False
        self.begun = False
        """The engine answers; from then on it stays held."""
        self.waited = 0.0
        """Seconds in the queue, once held."""
        self.taken_back: Callable[[], None] | None = None
        """Called when it is held no longer, though it has not begun."""
        self._granted: asyncio.Future[None] | None = None

    @property
    def position(self) -> int:
        """1: the next one; 0: held. Exact for one slot if nobody comes or goes, else as things stand."""
        return 0 if self.held else _position(self, self._line)

    @property
    def length(self) -> int:
        """How many wait for this model."""
        return self._line.length

    async def granted(self) -> None:
        if not self.held:
            self._granted = asyncio.get_running_loop().create_future()
            await self._granted

    async def moved(self) -> None:
        """Until something has changed in this queue, which need not be this place's position."""
        if self._line.moved is None:
            self._line.moved = asyncio.Event()
        await self._line.moved.wait()

    def begins(self, now: float) -> None:
        """The first byte of its answer is there."""
        if not self.begun:
            self.begun, self.since = True, now
            self._line.begun += 1
            self._line.slots = max(self._line.slots, self._line.begun)

    def hold(self, now: float) -> None:
        self.held, self.waited, self.since = True, self.waited + now - self.since, now
        if self._granted is not None and not self._granted.done():
            self._granted.set_result(None)

    def take_back(self, now: float) -> None:
        self.held, self.since = False, now
        if self.taken_back is not None:
            self.taken_back()


class Admission:
    """`clock` is monotonic, in seconds; `elastic` is a key's id, for slots that are a guess."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.monotonic, elastic: str | None = None) -> None:
        self.bounds = bounds
        self._clock = clock
        self._elastic = elastic
        self._lines: dict[str, _Line] = {}
        self._waiting: Counter[str] = Counter()

    @contextlib.contextmanager
    def place(self, model: str, key: str) -> Iterator[Place]:
        """A place for the length of the block. Raises TooMany or QueueFull at once; otherwise await `granted`."""
        line = self._lines.get(model) or self._new_line(model)
        place = Place(model, key, line, self._clock())
        if line.running < self._slots(line) or self._stretches(line, key):
            self._hold(line, place)
        else:
            self._queue(line, place)
            self._take_back(line)
        try:
            yield place
        finally:
            if place.held:
                self._release(line, place)
            else:
                self._taken(line, place)
            self._admit(line)
            line.tell()

    def begins(self, place: Place) -> None:
        """The first byte of the answer to this place is there."""
        place.begins(self._clock())

    def estimate(self, place: Place) -> float | None:
        """Seconds until the place is held, at the pace of the last answers; None before there was one."""
        mean = place._line.mean
        return None if mean is None else mean * place.position / self._slots(place._line)

    def waiting(self) -> Mapping[str, int]:
        """How many wait, by model."""
        return {model: line.length for model, line in self._lines.items() if line.length}

    def _new_line(self, model: str) -> _Line:
        if len(self._lines) >= _MOST_IDLE:
            for name in [name for name, line in self._lines.items() if not line.running]:
                del self._lines[name]
        return self._lines.setdefault(model, _Line())

    def _slots(self, line: _Line) -> int:
        return self.bounds.slots if self._elastic is None else max(self.bounds.slots, line.slots)

    def _stretches(self, line: _Line, key: str) -> bool:
        """Whether only the elastic key is there, `key` included."""
        return key == self._elastic and line.held.keys() | line.waiting.keys() <= {key}

    def _queue(self, line: _Line, place: Place) -> None:
        if self._waiting[place.key] >= self.bounds.per_key:
            raise TooMany(
                f"This key has {self.bounds.per_key} requests waiting already, which is as many as it may.",
                self._retry_after(line),
                "queue_per_key",
            )
        if line.length >= self.bounds.queue:
            raise QueueFull(f"{line.length} requests are waiting for this model already.", self._retry_after(line))
        line.waiting.setdefault(place.key, deque()).append(place)
        line.length += 1
        self._waiting[place.key] += 1
        line.tell()

    def _retry_after(self, line: _Line) -> int:
        """Whole seconds until the queue as it is now is through."""
        if line.mean is None:
            return _RETRY_UNKNOWN
        return min(_RETRY_MOST, max(1, math.ceil(line.mean * line.length / self._slots(line))))

    def _hold(self, line: _Line, place: Place) -> None:
        line.running += 1
        line.held[place.key] += 1
        line.last(place.key)
        place.hold(self._clock())
        if place.key == self._elastic:
            line.elastic[place] = None

    def _release(self, line: _Line, place: Place) -> None:
        held_for = self._clock() - place.since
        line.mean = held_for if line.mean is None else line.mean + (held_for - line.mean) * _WEIGHT
        line.begun -= place.begun
        self._let_go(line, place)
        line.last(place.key)

    def _let_go(self, line: _Line, place: Place) -> None:
        line.running -= 1
        _count_down(line.held, place.key)
        line.elastic.pop(place, None)

    def _admit(self, line: _Line) -> None:
        """Hold whoever waits and may be held by now."""
        while line.waiting:
            key = min(line.waiting, key=line.held.__getitem__)  # the first of equals, which waits longest
            if line.running >= self._slots(line) and not self._stretches(line, key):
                break
            self._hold(line, self._taken(line, line.waiting[key][0]))

    def _take_back(self, line: _Line) -> None:
        """Somebody waits: places of the elastic key beyond the slots that have not begun head its line again."""
        for place in [place for place in reversed(line.elastic) if not place.begun]:
            if line.running <= self._slots(line) or self._stretches(line, place.key):
                break
            self._let_go(line, place)
            line.waiting.setdefault(place.key, deque()).appendleft(place)
            line.length += 1
            self._waiting[place.key] += 1
            place.take_back(self._clock())
        line.tell()

    def _taken(self, line: _Line, place: Place) -> Place:
        """`place`, out of the queue."""
        places = line.waiting[place.key]
        places.remove(place)
        if not places:
            del line.waiting[place.key]
        line.length -= 1
        _count_down(self._waiting, place.key)
        return place


def _count_down(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _position(place: Place, line: _Line) -> int:
    """One more than the number of places that are served before this one.

    The n-th place of a key that holds h slots is served when the key has had h + n; of those that are due at the same
    count the key that was served longest ago comes first: first one that has been served least since, then by order.
    """
    nth = line.waiting[place.key].index(place)
    due = line.held[place.key] + nth
    before, ours_seen = nth, False
    for key, places in line.waiting.items():
        if key == place.key:
            ours_seen = True
            continue
        level = due - line.held[key]
        before += min(len(places), max(0, level))
        if 0 <= level < len(places) and (level, ours_seen) < (nth, True):
            before += 1
    return before + 1
