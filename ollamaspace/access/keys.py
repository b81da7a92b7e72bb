"""API keys and what each may do.

Only digests are kept. A presented key is compared with every one of them, in constant time and to the end, so that
neither the right prefix of a key nor its place in the ring can be felt from outside.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

SHORTEST_KEY = 16

_WELL_KNOWN = re.compile(
    r"admin|api|change|default|demo|dummy|example|face|hello|hugging|here|insert|key|llama|me|my|ollama|open|owner|pass"
    r"|password|please|replace|secret|sk|space|test|this|to|token|user|welcome|word|your|x{3,}|[^a-z]"
)
_FEW_DIFFERENT = 6


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


def weakness(key: str) -> str | None:
    """Why `key` must not guard anything, worded to follow the setting's name; None for one that may."""
    if not key.isascii() or not key.isprintable() or " " in key:
        return "must be of visible ASCII characters, because it travels in an HTTP header"
    if len(key) < SHORTEST_KEY:
        return f"has {len(key)} characters; at least {SHORTEST_KEY} are needed"
    if key.startswith("hf_"):
        return "begins with hf_ like a Hugging Face token, which a Space does not hand on as a key"
    if len(set(key)) < _FEW_DIFFERENT:
        return f"has fewer than {_FEW_DIFFERENT} different characters"
    if not _WELL_KNOWN.sub("", key.lower()):
        return "is made of digits and words that everybody tries first"
    return None
