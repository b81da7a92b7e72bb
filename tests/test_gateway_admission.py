"""Slots and queues against a model that is too simple to be wrong, on a clock that the test turns."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollamaspace.errors import OllamaSpaceError, QueueFull, TooMany
from ollamaspace.gateway.admission import Admission, Bounds, Place, slots_of

MODEL = "qwen3:4b"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Taken:
    """A place with the block that holds it; a test keeps it, or the place is given back."""

    def __init__(self, admission: Admission, key: str, model: str = MODEL) -> None:
        self.block = ExitStack()
        self.place: Place = self.block.enter_context(admission.place(model, key))

    @property
    def held(self) -> bool:
        return self.place.held

    def leave(self) -> None:
        self.block.close()


def admission(slots: int = 1, queue: int = 64, per_key: int = 16) -> Admission:
    return Admission(Bounds(slots, queue, per_key), Clock())


def turn(admission: Admission, seconds: float) -> None:
    assert isinstance(admission._clock, Clock)
    admission._clock.now += seconds


def test_a_free_slot_is_held_at_once_and_the_next_waits() -> None:
    gate = admission(slots=2)
    first, second, third = (Taken(gate, "a") for _ in range(3))
    assert [first.held, second.held, third.held] == [True, True, False]
    assert [first.place.position, third.place.position] == [0, 1]

    first.leave()
    assert third.held


def test_models_do_not_wait_for_each_other() -> None:
    gate = admission()
    assert Taken(gate, "a", "x:latest").held
    assert Taken(gate, "a", "y:latest").held


def test_a_greedy_key_with_a_hundred_requests_does_not_starve_a_polite_one() -> None:
    gate = admission(queue=200, per_key=200)
    running = Taken(gate, "greedy")
    greedy = [running, *(Taken(gate, "greedy") for _ in range(99))]
    polite = [Taken(gate, "polite") for _ in range(3)]

    order = []
    for _ in range(7):
        now = next(taken for taken in [*greedy, *polite] if taken.held)
        order.append(now.place.key)
        now.leave()
        (polite if now in polite else greedy).remove(now)

    assert order == ["greedy", "polite", "greedy", "polite", "greedy", "polite", "greedy"]


def test_slots_are_shared_by_what_a_key_holds_not_by_what_it_asked() -> None:
    gate = admission(slots=4)
    greedy = [Taken(gate, "greedy") for _ in range(12)]
    polite = [Taken(gate, "polite") for _ in range(4)]
    for taken in greedy[:2]:
        taken.leave()
    assert [sum(taken.held for taken in takers) for takers in (greedy[2:], polite)] == [2, 2]

    greedy[2].leave()
    assert [sum(taken.held for taken in takers) for takers in (greedy[3:], polite)] == [2, 2]


def test_the_bounds_are_exact_and_say_when_to_come_back() -> None:
    gate = admission(queue=5, per_key=3)
    takers = [Taken(gate, key) for key in "aaaabb"]
    assert [taken.held for taken in takers] == [True] + [False] * 5
    with pytest.raises(TooMany) as too_many:
        Taken(gate, "a")
    with pytest.raises(QueueFull) as full:
        Taken(gate, "b")
    assert (too_many.value.status, full.value.status) == (429, 503)
    assert too_many.value.retry_after
    assert full.value.retry_after


def test_the_places_of_a_key_are_counted_over_all_models() -> None:
    gate = admission(per_key=2)
    takers = [Taken(gate, key, model) for model in ("x:latest", "y:latest") for key in ("other", "a")]
    with pytest.raises(TooMany):
        Taken(gate, "a", "x:latest")
    takers[0].leave()
    assert not Taken(gate, "a", "x:latest").held


def test_without_places_whoever_finds_no_slot_is_refused() -> None:
    gate = admission(queue=0)
    held = Taken(gate, "a")
    assert held.held
    with pytest.raises(QueueFull):
        Taken(gate, "a")


def test_beyond_the_bounds_an_answer_takes_far_less_than_fifty_milliseconds() -> None:
    gate = admission()
    takers = [Taken(gate, f"key {number // 16}") for number in range(65)]
    begun = time.perf_counter()
    for _ in range(100):
        with pytest.raises(OllamaSpaceError):
            Taken(gate, "key 9")
    assert time.perf_counter() - begun < 100 * 0.005
    assert len(takers) == 65


def test_the_estimate_follows_how_long_slots_are_held() -> None:
    gate = admission(slots=2)
    takers = [Taken(gate, "a") for _ in range(2)]
    third, fourth = Taken(gate, "a"), Taken(gate, "b")
    assert gate.estimate(third.place) is None

    turn(gate, 8.0)
    takers[0].leave()
    assert gate.estimate(fourth.place if third.held else third.place) == 4.0

    turn(gate, 8.0)
    takers[1].leave()
    fifth = Taken(gate, "a")
    assert gate.estimate(fifth.place) == pytest.approx(9.0 / 2)


def test_retry_after_is_the_time_of_the_queue_and_bounded() -> None:
    gate = admission(queue=3, per_key=9)
    first = Taken(gate, "a")
    turn(gate, 7.0)
    first.leave()
    takers = [Taken(gate, "a") for _ in range(4)]
    with pytest.raises(QueueFull) as full:
        Taken(gate, "a")
    assert full.value.retry_after == 21
    turn(gate, 10_000)
    takers[0].leave()
    takers.append(Taken(gate, "a"))
    with pytest.raises(QueueFull) as full:
        Taken(gate, "a")
    assert full.value.retry_after == 60


async def test_whoever_is_cancelled_while_queued_frees_the_place() -> None:
    gate = admission(per_key=1)
    first = Taken(gate, "a")

    async def wait() -> None:
        with gate.place(MODEL, "b") as place:
            await place.granted()
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    assert gate.waiting() == {MODEL: 1}
    waiting.cancel()
    await asyncio.wait({waiting})
    assert gate.waiting() == {}

    follower = Taken(gate, "b")
    first.leave()
    assert follower.held


async def test_a_slot_granted_to_somebody_cancelled_in_the_same_moment_is_not_lost() -> None:
    gate = admission()
    first = Taken(gate, "a")

    async def wait() -> None:
        with gate.place(MODEL, "b") as place:
            await place.granted()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    last = Taken(gate, "c")
    waiting.cancel()
    first.leave()
    await asyncio.wait({waiting})
    assert last.held


async def test_a_follower_hears_of_every_change() -> None:
    gate = admission()
    first, second = Taken(gate, "a"), Taken(gate, "b")
    seen = []

    async def follow() -> None:
        with gate.place(MODEL, "c") as place:
            while not place.held:
                seen.append(place.position)
                await place.moved()

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    second.leave()
    await asyncio.sleep(0)
    first.leave()
    async with asyncio.timeout(1):
        await following
    assert seen == [2, 1]


def test_models_nobody_asks_for_are_forgotten() -> None:
    gate = admission()
    for number in range(10_000):
        Taken(gate, "a", f"made-up-{number}").leave()
    assert len(gate._lines) <= 64


@pytest.mark.parametrize(
    ("kind", "given", "slots"),
    [
        ("ollama", None, 1),
        ("embedded", None, 2),
        ("adopted", None, 4),
        ("external", "", 4),
        ("external", "8", 8),
        ("ollama", " 3 ", 3),
        ("ollama", "many", 1),
        ("ollama", "0", 1),
        ("ollama", "-2", 1),
        ("embedded", "\u0664", 2),
    ],
)
def test_slots_are_those_of_the_engine(kind: str, given: str | None, slots: int) -> None:
    assert slots_of(kind, given) == slots


@dataclass
class Oracle:
    """The rule told in another way: all places in one list, and when each key was served last."""

    slots: int
    held: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    served: dict[str, int] = field(default_factory=dict)
    events: int = 0

    def serve(self, key: str) -> None:
        self.events += 1
        self.served[key] = self.events

    def come(self, key: str) -> None:
        if len(self.held) < self.slots:
            self.held.append(key)
            self.serve(key)
        else:
            if key not in self.waiting:
                self.serve(key)  # it joins at the end of the round
            self.waiting.append(key)

    def give_back(self, key: str) -> str | None:
        self.held.remove(key)
        self.serve(key)
        if not self.waiting:
            return None
        chosen = min(set(self.waiting), key=lambda each: (self.held.count(each), self.served[each]))
        self.waiting.remove(chosen)
        self.held.append(chosen)
        self.serve(chosen)
        return chosen


STEPS = st.lists(st.tuples(st.sampled_from(["come", "come", "end", "leave"]), st.integers(0, 30)), max_size=80)


@settings(deadline=None)
@given(slots=st.integers(1, 3), steps=STEPS)
def test_any_coming_and_going_keeps_to_the_rule(slots: int, steps: list[tuple[str, int]]) -> None:
    queue, per_key, keys = 6, 3, "abcd"
    gate, oracle = admission(slots, queue, per_key), Oracle(slots)
    takers: list[Taken] = []
    for step, number in steps:
        if step == "come":
            key = keys[number % len(keys)]
            full = len(oracle.held) == slots
            refused = full and (oracle.waiting.count(key) >= per_key or len(oracle.waiting) >= queue)
            try:
                takers.append(Taken(gate, key))
                assert not refused
                oracle.come(key)
            except (TooMany, QueueFull):
                assert refused
        elif candidates := [taken for taken in takers if taken.held == (step == "end")]:
            taken = candidates[number % len(candidates)]
            takers.remove(taken)
            expected = first_waiting(takers, taken, oracle) if step == "end" else None
            taken.leave()
            if step == "leave":
                oracle.waiting.remove(taken.place.key)
            elif expected is not None:
                assert expected.held
        check(takers, oracle, gate)


def first_waiting(takers: list[Taken], ending: Taken, oracle: Oracle) -> Taken | None:
    """Who must be served when `ending` gives its slot back: the first to have come of the key whose turn it is."""
    waiting = [taken for taken in takers if not taken.held]
    key = oracle.give_back(ending.place.key)
    return next((taken for taken in waiting if taken.place.key == key), None)


def check(takers: list[Taken], oracle: Oracle, gate: Admission) -> None:
    held = sorted(taken.place.key for taken in takers if taken.held)
    waiting = sorted(taken.place.key for taken in takers if not taken.held)
    assert (held, waiting) == (sorted(oracle.held), sorted(oracle.waiting))
    positions = sorted(taken.place.position for taken in takers if not taken.held)
    assert positions == list(range(1, len(waiting) + 1))
    assert sum(gate.waiting().values()) == len(waiting)


@settings(deadline=None)
@given(steps=STEPS)
def test_with_one_slot_positions_tell_the_exact_order(steps: list[tuple[str, int]]) -> None:
    gate, takers = admission(per_key=64), list[Taken]()
    for step, number in steps:
        candidates = [taken for taken in takers if taken.held == (step == "end")]
        if step == "come":
            takers.append(Taken(gate, "abcd"[number % 4]))
        elif candidates:
            taken = candidates[number % len(candidates)]
            takers.remove(taken)
            taken.leave()
    told = sorted((taken for taken in takers if not taken.held), key=lambda taken: taken.place.position)
    served = []
    while takers:
        taken = next(taken for taken in takers if taken.held)
        served.append(taken)
        takers.remove(taken)
        taken.leave()
    assert served[1:] == told
