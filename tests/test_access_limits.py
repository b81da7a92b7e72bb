"""Limits of a key, against a clock of our own and a model that is simpler than the algorithm."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamaspace.access.keys import OWNER, Identity, Limits, Scope
from ollamaspace.access.limits import Limiter, Quota, Rates
from ollamaspace.errors import TooMany

SECOND = 1_000_000_000


@dataclass
class Surroundings:
    now: int = 0
    tokens: dict[str, int] = field(default_factory=dict)

    def tokens_today(self, key_id: str) -> int:
        return self.tokens.get(key_id, 0)

    def limiter(self) -> Limiter:
        return Limiter(self, clock=lambda: self.now, until_tomorrow=lambda: 3_600)


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


def key(limits: Limits, name: str = "key") -> Identity:
    return Identity(name, frozenset({Scope.CHAT}), limits=limits)


def refused(limiter: Limiter, identity: Identity) -> int:
    """Seconds after which to try again; 0 when it was let through, and has ended again."""
    try:
        with limiter.admitted(identity):
            return 0
    except TooMany as error:
        return error.retry_after or -1


def test_without_limits_nothing_is_refused_and_nothing_told(around: Surroundings) -> None:
    limiter = around.limiter()

    assert not any(refused(limiter, OWNER) for _ in range(1_000))
    assert limiter.quotas(OWNER) == ()


def test_a_minutes_worth_at_once_and_then_one_after_the_other(around: Surroundings) -> None:
    limiter, busy = around.limiter(), key(Limits(requests_per_minute=6))

    assert [refused(limiter, busy) for _ in range(7)] == [0] * 6 + [10]
    around.now += 10 * SECOND - 1
    assert refused(limiter, busy) == 1
    around.now += 1
    assert [refused(limiter, busy) for _ in range(2)] == [0, 10]


def test_a_refused_request_counts_for_nothing(around: Surroundings) -> None:
    limiter, busy = around.limiter(), key(Limits(requests_per_minute=1))
    assert refused(limiter, busy) == 0

    for _ in range(100):
        assert refused(limiter, busy) == 60
    around.now += 60 * SECOND

    assert refused(limiter, busy) == 0


def test_keys_have_limits_of_their_own(around: Surroundings) -> None:
    limiter, limits = around.limiter(), Limits(requests_per_minute=1)

    assert [refused(limiter, key(limits, name)) for name in ("first", "second", "first")] == [0, 0, 60]


@given(
    rate=st.integers(1, 1_000),
    pauses=st.lists(st.integers(0, 90 * SECOND) | st.integers(0, 1_000_000), min_size=1, max_size=200),
)
def test_requests_a_minute_are_a_bucket_that_fills_evenly(rate: int, pauses: list[int]) -> None:
    """The model is a bucket of `rate` tokens that drips: exact fractions, one line."""
    rates, now = Rates(), 0
    tokens = Fraction(rate)
    for pause in pauses:
        now += pause
        tokens = min(Fraction(rate), tokens + Fraction(pause * rate, 60 * SECOND))
        left, full_in = rates.standing("key", rate, now)
        assert left == int(tokens)
        assert full_in == -(-(rate - tokens) * 60 // rate)
        wait = rates.take("key", rate, now)
        assert (wait == 0) is (tokens >= 1)
        if wait:
            assert tokens + Fraction(wait * rate, 60) >= 1 > tokens + Fraction((wait - 1) * rate, 60)
        else:
            tokens -= 1


def test_what_is_remembered_is_bounded() -> None:
    rates = Rates(most=100)

    for number in range(1_000):
        rates.take(str(number), 60, 0)

    assert len(rates) == 100
    assert rates.standing("999", 60, 0)[0] == 59


def test_tokens_of_the_day_are_refused_until_tomorrow_once_they_are_used_up(around: Surroundings) -> None:
    limiter, writer = around.limiter(), key(Limits(tokens_per_day=100))

    around.tokens["key"] = 99
    assert refused(limiter, writer) == 0
    around.tokens["key"] = 130
    assert refused(limiter, writer) == 3_600
    assert limiter.quotas(writer) == (Quota("tokens", 100, 0, 3_600, 86_400),)


def test_answers_at_once_end_with_their_requests(around: Surroundings) -> None:
    limiter, busy = around.limiter(), key(Limits(concurrent=2))
    with ExitStack() as running:
        running.enter_context(limiter.admitted(busy))
        running.enter_context(limiter.admitted(busy))
        assert refused(limiter, busy) == 2
        assert limiter.quotas(busy) == (Quota("concurrent", 2, 0),)
    with pytest.raises(ZeroDivisionError), limiter.admitted(busy):
        raise ZeroDivisionError  # however it ends

    assert limiter.quotas(busy) == (Quota("concurrent", 2, 2),)


def test_a_request_refused_for_one_limit_does_not_use_another_up(around: Surroundings) -> None:
    limiter, busy = around.limiter(), key(Limits(requests_per_minute=2, concurrent=1))
    with limiter.admitted(busy):
        assert refused(limiter, busy) == 2

    assert limiter.quotas(busy)[0].left == 1
