from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from ollamaspace.embedded import machine


def test_this_machine_can_run_the_engine_its_tests_need() -> None:
    assert machine.problems() == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the instructions are named for x86_64 only")
def test_missing_instructions_are_named(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags : fpu sse4_2 f16c fma\n")
    (problem,) = machine.problems(cpuinfo=cpuinfo)
    assert "avx2, bmi2" in problem
    assert "f16c" not in problem


def test_a_missing_library_is_named_with_its_package() -> None:
    (problem,) = machine.problems(library="libgomp-that-is-not-there.so.1")
    assert "apt-get install libgomp1" in problem


def test_one_core_is_left_free() -> None:
    assert machine.threads() == max(1, len(os.sched_getaffinity(0)) - 1)
