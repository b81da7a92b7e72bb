"""The tables, as the steps that made them. A step that was once released is never changed; a new one is added.

`PRAGMA user_version` counts the steps that a file has behind it. Each is one transaction: it happened or it did not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

Steps = Sequence[Sequence[str]]

KEYS_AND_USAGE = (
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        digest BLOB NOT NULL UNIQUE,
        ending TEXT NOT NULL,
        scopes TEXT NOT NULL,
        models TEXT NOT NULL,
        requests_per_minute INTEGER,
        tokens_per_day INTEGER,
        concurrent INTEGER,
        expires_at INTEGER,
        created_at INTEGER NOT NULL,
        revoked_at INTEGER,
        last_used_at INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE usage (
        key_id TEXT NOT NULL,
        model TEXT NOT NULL,
        day TEXT NOT NULL,
        requests INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        PRIMARY KEY (day, key_id, model)
    ) STRICT, WITHOUT ROWID
    """,
)

MIGRATIONS: Steps = (KEYS_AND_USAGE,)


class NewerSchema(Exception):
    """The file has steps behind it that this program does not know."""


def migrate(connection: sqlite3.Connection, steps: Steps = MIGRATIONS) -> None:
    """Take the steps that are missing. Raises NewerSchema, having written nothing, and sqlite3.Error."""
    while version(connection) < len(steps):
        # Somebody else may take the same step at this moment, so the number is looked at again behind the lock.
        connection.execute("BEGIN IMMEDIATE")
        try:
            number = version(connection)
            if number < len(steps):
                for statement in steps[number]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    if version(connection) > len(steps):
        raise NewerSchema(f"schema {version(connection)}, and this program knows {len(steps)}")


def version(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number
