"""The table of keys: digests and what each may do. A key itself is never here."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field, fields

REVOKED_KEPT = 100
"""So many revoked keys are still listed; their rows stay, because usage names them."""

MOST_KEYS = 1_000
"""That are not revoked. Each presented key is compared with all of them."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """Dates in seconds since 1970. `ending` is the last characters of the key, to know it by."""

    id: str
    name: str
    digest: bytes = field(repr=False)
    ending: str
    scopes: tuple[str, ...]
    models: tuple[str, ...]
    requests_per_minute: int | None
    tokens_per_day: int | None
    concurrent: int | None
    expires_at: int | None
    created_at: int
    revoked_at: int | None = None
    last_used_at: int | None = None

    def valid(self, now: int) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_COLUMNS = tuple(each.name for each in fields(KeyRow))
_LISTS = ("scopes", "models")
_INSERT = f"INSERT INTO keys ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - names of ours
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM keys"  # noqa: S608 - names of ours


class TooManyKeys(Exception):
    """There are MOST_KEYS that are not revoked."""


def add(connection: sqlite3.Connection, row: KeyRow) -> None:
    """Raises TooManyKeys."""
    unrevoked = connection.execute("SELECT count(*) FROM keys WHERE revoked_at IS NULL").fetchone()[0]
    if unrevoked >= MOST_KEYS:
        raise TooManyKeys
    connection.execute(_INSERT, [json.dumps(value) if isinstance(value, tuple) else value for value in astuple(row)])


def unrevoked(connection: sqlite3.Connection) -> list[KeyRow]:
    return [_row(found) for found in connection.execute(f"{_SELECT} WHERE revoked_at IS NULL")]


def listed(connection: sqlite3.Connection) -> list[KeyRow]:
    """Newest first; behind them those that were revoked, the latest first."""
    order = "ORDER BY revoked_at IS NOT NULL, coalesce(revoked_at, created_at) DESC, rowid DESC LIMIT ?"
    found = connection.execute(f"{_SELECT} {order}", (MOST_KEYS + REVOKED_KEPT,))
    return [_row(row) for row in found]


def revoke(connection: sqlite3.Connection, key_id: str, now: int) -> bool:
    """Whether there is a key of this id; one that is revoked already stays as it is."""
    known = connection.execute("UPDATE keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?", (now, key_id))
    return known.rowcount > 0


def id_of(connection: sqlite3.Connection, digest: bytes) -> str | None:
    found = connection.execute("SELECT id FROM keys WHERE digest = ?", (digest,)).fetchone()
    return None if found is None else str(found[0])


def mark_used(connection: sqlite3.Connection, key_ids: Iterable[str], now: int) -> None:
    connection.executemany("UPDATE keys SET last_used_at = ? WHERE id = ?", [(now, key_id) for key_id in key_ids])


def _row(found: tuple[object, ...]) -> KeyRow:
    values = dict(zip(_COLUMNS, found, strict=True))
    for name in _LISTS:
        values[name] = tuple(json.loads(str(values[name])))
    return KeyRow(**values)  # type: ignore[arg-type]
