"""Steps from one schema to the next: whole or not at all, by whoever comes first, never backwards."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ollamaspace.store.migrations import MIGRATIONS, NewerSchema, migrate, version
from tests.space import ROOT

TWO_STEPS = (
    ("CREATE TABLE a (x INTEGER) STRICT", "INSERT INTO a VALUES (1), (2)"),
    ("ALTER TABLE a ADD COLUMN y INTEGER", "UPDATE a SET y = x * 10"),
)

# Forks, so that dying at each statement costs one start of Python in all.
INTERRUPTED = f"""
import os, sqlite3, sys
from ollamaspace.store.migrations import migrate

def die_after(left, path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    def count(statement):
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
    connection.set_trace_callback(count)
    migrate(connection, {TWO_STEPS!r})
    os._exit(0)

for statements in range(40):
    child = os.fork()
    if not child:
        die_after(statements, f"{{sys.argv[1]}}/{{statements}}.db")
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def connect(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None))


def schema(path: Path) -> list[str]:
    with connect(path) as connection:
        return [row[0] for row in connection.execute("SELECT sql FROM sqlite_master ORDER BY name") if row[0]]


def test_a_new_file_gets_every_table_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with connect(path) as connection:
        migrate(connection)
        migrate(connection)

        assert version(connection) == len(MIGRATIONS)
    assert all("STRICT" in sql for sql in schema(path) if sql.startswith("CREATE TABLE"))


def test_a_file_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        before = path.read_bytes()
        with pytest.raises(NewerSchema):
            migrate(connection)
    assert path.read_bytes() == before


def test_a_step_that_fails_leaves_nothing_and_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    broken = (TWO_STEPS[0], (*TWO_STEPS[1], "INSERT INTO nothing VALUES (1)"))
    with connect(path) as connection:
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, broken)
        assert version(connection) == 1
        assert connection.execute("SELECT * FROM a").fetchall() == [(1,), (2,)]

        migrate(connection, TWO_STEPS)
        assert connection.execute("SELECT * FROM a").fetchall() == [(1, 10), (2, 20)]


def test_killed_at_any_statement_the_next_start_completes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path)]
    ends = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=20).stdout.split()

    assert set(ends) == {b"-9", b"0"}
    assert ends.count(b"-9") >= 8, "every statement has been one to die at"
    for statements in range(len(ends)):
        with connect(tmp_path / f"{statements}.db") as connection:
            migrate(connection, TWO_STEPS)
            assert connection.execute("SELECT * FROM a").fetchall() == [(1, 10), (2, 20)]
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_two_at_once_take_each_step_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    start = "import sqlite3, sys\nfrom ollamaspace.store.migrations import migrate\nsys.stdin.readline()\n"
    work = f"{start}migrate(sqlite3.connect(sys.argv[1], isolation_level=None), {TWO_STEPS!r})"
    racing = [
        subprocess.Popen([sys.executable, "-c", work, str(path)], cwd=ROOT, stdin=subprocess.PIPE) for _ in range(3)
    ]
    for child in racing:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.close()

    assert [child.wait(20) for child in racing] == [0, 0, 0]
    with connect(path) as connection:
        assert connection.execute("SELECT * FROM a").fetchall() == [(1, 10), (2, 20)]
