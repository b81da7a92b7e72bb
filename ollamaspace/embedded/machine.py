"""What this machine offers: whether llama.cpp's wheel can run here at all, and with how many threads.

The wheel is compiled for one set of instructions and brings no OpenMP runtime; without a look beforehand the first
is an illegal instruction in the middle of a load, the second an ImportError nobody can read.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import sys
from pathlib import Path

_NEEDED = ("avx2", "bmi2", "f16c", "fma")
_CPUINFO = Path("/proc/cpuinfo")
_LIBRARY = "libgomp.so.1"


def problems(cpuinfo: Path = _CPUINFO, library: str = _LIBRARY) -> list[str]:
    """One sentence with a remedy each; empty where the engine can run."""
    found = []
    if importlib.util.find_spec("xllamacpp") is None:
        found.append("llama.cpp is not installed: pip install 'ollamaspace[embedded]'")
    missing = _missing_instructions(cpuinfo)
    if missing:
        found.append(
            f"This processor lacks {', '.join(missing)}, which llama.cpp was compiled for; use Ollama instead."
        )
    if sys.platform == "linux" and not _loads(library):
        found.append(f"{library} is missing: apt-get install libgomp1 (or your system's package of that library)")
    return found


def cores() -> int:
    """The cores this process may use, which in a container are fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def threads() -> int:
    """All cores but one, for reading a prompt as for writing.

    With every core one other busy process ruins everything: OpenMP's threads wait for each other at every token.
    Measured on two cores with one such process: 122 tokens/s with one thread, 2 to 25 with two; and four answers at
    once, which llama.cpp computes as it computes a prompt, 15 to 148 in all with two threads, always 95 with one.
    """
    return max(1, cores() - 1)


def _missing_instructions(cpuinfo: Path) -> list[str]:
    if platform.machine().lower() not in ("x86_64", "amd64") or not cpuinfo.exists():
        return []
    for line in cpuinfo.read_text(errors="replace").splitlines():
        if line.startswith("flags"):
            present = line.split()
            return [name for name in _NEEDED if name not in present]
    return []


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
