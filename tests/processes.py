"""What the kernel says of processes and of listening sockets. Linux only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path


def family(pid: int) -> dict[int, str]:
    """Every descendant of a process, zombies included: pid and state letter."""
    parents: dict[int, tuple[int, str]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text("utf-8", "replace").rpartition(") ")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(stat.parent.name)] = (int(parent), state)
    return {each: state for each, (_, state) in parents.items() if pid in _ancestors(each, parents)}


def _ancestors(pid: int, parents: Mapping[int, tuple[int, str]]) -> Iterator[int]:
    while pid in parents:
        pid = parents[pid][0]
        yield pid


def gone(pid: int) -> bool:
    """Not even a zombie is left."""
    return not Path(f"/proc/{pid}").exists()


def listening(port: int) -> set[str]:
    """Addresses with a listening socket at that port, in the kernel's hexadecimal spelling."""
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        rows = [line.split() for line in table.read_text("ascii").splitlines()[1:]] if table.exists() else []
        for row in rows:
            address, number = row[1].split(":")
            if row[3] == "0A" and int(number, 16) == port:
                found.add(address)
    return found
