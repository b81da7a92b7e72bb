"""How much a key may use: requests a minute, tokens a day, answers at once.

Requests are spread by the generic cell rate algorithm: a full minute's worth at once, then one after the other. It
needs one number a key and no timer, and is reckoned in whole numbers, so that nothing is gained by rounding. Tokens
are counted when an answer has ended: the one that crosses the limit is still given whole.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ollamaspace.access.keys import Identity
from ollamaspace.errors import TooMany
from ollamaspace.store import dates

MOST_REMEMBERED = 10_000
_MINUTE, _DAY = 60, 86_400  # seconds
_MINUTE_NS = 60_000_000_000
_TRY_AGAIN_AFTER = 2  # seconds; when one of the key's own answers ends is not known


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit and what is left of it: `left` now, all of it again after `reset` seconds."""

    name: str
    limit: int
    left: int
    reset: int | None = None
    window: int | None = None


class Spent(Protocol):
    def tokens_today(self, key_id: str) -> int: ...


class Limiter:
    """`clock` is monotonic, in nanoseconds; `until_tomorrow` in seconds."""

    def __init__(
        self,
        usage: Spent,
        clock: Callable[[], int] = time.monotonic_ns,
        until_tomorrow: Callable[[], int] = dates.until_tomorrow,
    ) -> None:
        self._usage, self._clock, self._until_tomorrow = usage, clock, until_tomorrow
        self._rates = Rates()
        self._running: Counter[str] = Counter()

    @contextlib.contextmanager
    def admitted(self, identity: Identity) -> Iterator[None]:
        """For the length of one request. Raises TooMany; a request that is refused counts for nothing."""
        self._admit(identity)
        self._running[identity.id] += 1
        try:
            yield
        finally:
            self._running[identity.id] -= 1
            if not self._running[identity.id]:
                del self._running[identity.id]

    def quotas(self, identity: Identity) -> tuple[Quota, ...]:
        """The limits that this key has, as they stand now."""
        limits, found = identity.limits, []
        if (rate := limits.requests_per_minute) is not None:
            left, full_in = self._rates.standing(identity.id, rate, self._clock())
            found.append(Quota("requests", rate, left, full_in, _MINUTE))
        if (tokens := limits.tokens_per_day) is not None:
            left = max(0, tokens - self._usage.tokens_today(identity.id))
            found.append(Quota("tokens", tokens, left, self._until_tomorrow(), _DAY))
        if (most := limits.concurrent) is not None:
            found.append(Quota("concurrent", most, max(0, most - self._running[identity.id])))
        return tuple(found)

    def _admit(self, identity: Identity) -> None:
        limits = identity.limits
        if limits.concurrent is not None and self._running[identity.id] >= limits.concurrent:
            sentence = f"This key may have {limits.concurrent} answers at once, and has them now."
            raise TooMany(sentence, _TRY_AGAIN_AFTER, "concurrent")
        if limits.tokens_per_day is not None and self._usage.tokens_today(identity.id) >= limits.tokens_per_day:
            sentence = f"This key has used its {limits.tokens_per_day} tokens of today (UTC)."
            raise TooMany(sentence, self._until_tomorrow(), "tokens")
        if (rate := limits.requests_per_minute) is not None:
            wait = self._rates.take(identity.id, rate, self._clock())
            if wait:
                raise TooMany(f"This key may ask {rate} times a minute.", wait, "requests")


class Rates:
    """A number a key: the time at which all its requests would have been due, had they come evenly.

    Times are in nanoseconds multiplied by the key's rate: that makes the distance of two requests the same whole
    number for every rate, one minute. Who has not asked for a minute needs no number.
    """

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._due: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def take(self, key_id: str, rate: int, now: int) -> int:
        """Count one request. 0, or the whole seconds after which it would be let through."""
        ahead = self._ahead(key_id, rate, now) + _MINUTE_NS
        over = ahead - _MINUTE_NS * rate
        if over > 0:
            return _seconds(over, rate)
        self._due[key_id] = now * rate + ahead
        self._due.move_to_end(key_id)
        if len(self._due) > self._most:
            self._due.popitem(last=False)
        return 0

    def standing(self, key_id: str, rate: int, now: int) -> tuple[int, int]:
        """How many requests are left now, and after how many seconds all of them are again."""
        ahead = self._ahead(key_id, rate, now)
        return (_MINUTE_NS * rate - ahead) // _MINUTE_NS, _seconds(ahead, rate)

    def _ahead(self, key_id: str, rate: int, now: int) -> int:
        return max(0, self._due.get(key_id, 0) - now * rate)


def _seconds(scaled: int, rate: int) -> int:
    """Rounded up, so that whoever waits so long has waited long enough."""
    return -(-scaled // (rate * 1_000_000_000))
