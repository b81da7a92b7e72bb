"""Keys: what counts as one, who it belongs to, and that looking one up compares them all."""

from __future__ import annotations

import hmac
import statistics
import time

import pytest

from ollamaspace.access.keys import OWNER, Identity, Keyring, Scope, digest, generate_key, owners_keyring
from ollamaspace.config.weakness import weakness

KEY = "correct-horse-battery-staple"
CHAT = frozenset({Scope.CHAT})


def test_the_owners_key_may_do_everything() -> None:
    identity = owners_keyring(KEY).identify(KEY.encode())

    assert identity == OWNER
    assert identity.scopes == set(Scope)


@pytest.mark.parametrize(
    "presented", [b"", b" ", KEY.encode()[:-1], KEY.encode() + b"\n", KEY.upper().encode(), b"\xff\xfe", b"x" * 100_000]
)
def test_anything_else_is_nobody(presented: bytes) -> None:
    assert owners_keyring(KEY).identify(presented) is None


def test_keys_of_the_database_come_and_go_while_the_owners_stays() -> None:
    ring = owners_keyring(KEY)
    first, second = Identity("first", CHAT), Identity("second", CHAT)

    assert ring.replace({digest(b"1"): first, digest(b"2"): second}) == frozenset()
    assert (ring.identify(b"1"), ring.identify(b"2"), len(ring)) == (first, second, 3)

    assert ring.replace({digest(b"2"): second}) == {"first"}
    assert (ring.identify(b"1"), ring.identify(b"2"), ring.identify(KEY.encode())) == (None, second, OWNER)


def test_a_key_ends_at_its_second_whatever_the_ring_says() -> None:
    now = [1_000]
    ring = Keyring(now=lambda: now[0])
    ring.replace({digest(b"1"): Identity("first", CHAT, expires_at=1_001)})

    assert ring.identify(b"1") is not None
    now[0] = 1_001
    assert ring.identify(b"1") is None


def test_remembers_which_of_the_databases_keys_were_used() -> None:
    ring = owners_keyring(KEY)
    ring.replace({digest(b"1"): Identity("first", CHAT), digest(b"2"): Identity("second", CHAT)})

    for presented in (KEY.encode(), b"2", b"2", b"wrong"):
        ring.identify(presented)

    assert ring.take_seen() == {"second"}
    assert ring.take_seen() == set()


def test_every_key_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, int]] = []
    whole = hmac.compare_digest

    def counting(known: bytes, given: bytes) -> bool:
        compared.append((known, len(given)))
        return whole(known, given)

    monkeypatch.setattr("ollamaspace.access.keys.hmac.compare_digest", counting)
    ring = owners_keyring(KEY)
    ring.replace({digest(b"%d" % number): Identity(str(number), CHAT, expires_at=number) for number in range(5)})

    seen = []
    for presented in (KEY.encode(), b"0", b"4", b"none of them", b"", b"x" * 10_000, b"osk_" + b"0" * 49):
        compared.clear()
        ring.identify(presented)
        seen.append(list(compared))

    assert len(seen[0]) == 6
    assert all(each == seen[0] for each in seen), "the work does not depend on what was presented"


def test_the_time_of_a_look_up_does_not_tell_where_a_key_stands() -> None:
    """200 comparisons take some 20 µs; stopping at the first would show as about as much."""
    ring = owners_keyring(KEY)
    ring.replace({digest(b"%04d" % number): Identity(str(number), CHAT) for number in range(200)})
    presented = (KEY.encode(), b"0000", b"0199", b"none")
    taken: dict[bytes, list[int]] = {each: [] for each in presented}

    for _ in range(1_500):
        for each in presented:
            began = time.perf_counter_ns()
            ring.identify(each)
            taken[each].append(time.perf_counter_ns() - began)

    medians = [statistics.median(times) for times in taken.values()]
    assert max(medians) - min(medians) < 5_000, medians


def test_generated_keys_are_long_different_and_not_weak() -> None:
    keys = {generate_key() for _ in range(50)}

    assert len(keys) == 50
    assert all(len(key) == 43 and weakness(key) is None for key in keys)
