"""API keys and what each may do.

Only digests are kept. A presented key is compared with every one of them, in constant time and to the end, so that
neither the right prefix of a key nor its place in the ring can be felt from outside.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    CHAT = "chat"
    MODELS = "models"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a key belongs to. `id` is for logs and figures and says nothing of the key."""

    id: str
    scopes: frozenset[Scope]


OWNER = Identity("owner", frozenset(Scope))


class Keyring:
    """The keys that count now; changes take effect with the next request."""

    def __init__(self) -> None:
        self._identities: dict[bytes, Identity] = {}

    def __len__(self) -> int:
        return len(self._identities)

    def add(self, digest: bytes, identity: Identity) -> None:
        self._identities[digest] = identity

    def remove(self, identity_id: str) -> bool:
        """Take every key of this identity away; whether there was one."""
        before = len(self)
        self._identities = {digest: owner for digest, owner in self._identities.items() if owner.id != identity_id}
        return len(self) < before

    def identify(self, presented: bytes) -> Identity | None:
        given = digest(presented)
        found: Identity | None = None
        for known, identity in self._identities.items():
            if hmac.compare_digest(known, given):
                found = identity
        return found


def owners_keyring(key: str, others: Iterable[tuple[bytes, Identity]] = ()) -> Keyring:
    """A ring with the owner's key, which may do everything, and `others` as digest and identity."""
    ring = Keyring()
    ring.add(digest(key.encode()), OWNER)
    for known, identity in others:
        ring.add(known, identity)
    return ring


def digest(key: bytes) -> bytes:
    """A plain hash is enough: keys are long and random, there is nothing to guess from it."""
    return hashlib.sha256(key).digest()


def generate_key() -> str:
    return secrets.token_urlsafe(32)
