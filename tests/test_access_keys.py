"""Keys: what counts as one, who it belongs to, and that looking one up compares them all."""

from __future__ import annotations

import hmac

import pytest

from ollamaspace.access.keys import OWNER, Identity, Keyring, Scope, digest, generate_key, owners_keyring
from ollamaspace.config.weakness import weakness

KEY = "correct-horse-battery-staple"


def test_the_owners_key_may_do_everything() -> None:
    identity = owners_keyring(KEY).identify(KEY.encode())

    assert identity == OWNER
    assert identity.scopes == set(Scope)


@pytest.mark.parametrize(
    "presented", [b"", b" ", KEY.encode()[:-1], KEY.encode() + b"\n", KEY.upper().encode(), b"\xff\xfe", b"x" * 100_000]
)
def test_anything_else_is_nobody(presented: bytes) -> None:
    assert owners_keyring(KEY).identify(presented) is None


def test_keys_come_and_go_while_it_runs() -> None:
    ring = owners_keyring(KEY)
    guest = Identity("guest", frozenset({Scope.CHAT}))

    ring.add(digest(b"first"), guest)
    ring.add(digest(b"second"), guest)
    assert (ring.identify(b"first"), ring.identify(b"second"), len(ring)) == (guest, guest, 3)

    assert ring.remove("guest")
    assert not ring.remove("guest")
    assert (ring.identify(b"first"), ring.identify(KEY.encode()), len(ring)) == (None, OWNER, 1)


def test_every_key_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    whole = hmac.compare_digest

    def counting(known: bytes, given: bytes) -> bool:
        compared.append(known)
        return whole(known, given)

    monkeypatch.setattr("ollamaspace.access.keys.hmac.compare_digest", counting)
    ring = Keyring()
    for number in range(5):
        ring.add(digest(str(number).encode()), Identity(str(number), frozenset()))

    for presented in (b"0", b"4", b"none of them"):
        compared.clear()
        ring.identify(presented)
        assert len(compared) == 5


def test_generated_keys_are_long_different_and_not_weak() -> None:
    keys = {generate_key() for _ in range(50)}

    assert len(keys) == 50
    assert all(len(key) == 43 and weakness(key) is None for key in keys)
