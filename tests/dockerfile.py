"""Reads the project's Dockerfile, so that tests run what it says instead of a copy of it.

Knows what that file uses: comments, continued lines, ENV and ARG as NAME=value, exec forms. Not a general parser.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its word in capitals, and the rest of its line or lines joined."""

    word: str
    rest: str

    @property
    def exec_form(self) -> list[str]:
        """The command of a line that ends in a JSON array, whatever flags stand before it."""
        return [str(word) for word in json.loads(self.rest[self.rest.index("[") :])]


def read(path: Path) -> list[Step]:
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", "", "\n".join(lines))
    steps = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [Step(word.upper(), rest.strip()) for word, rest in steps]


def only(steps: list[Step], word: str, containing: str = "") -> Step:
    """The one step of that word; two of them, or none, are a failure."""
    found = [step for step in steps if step.word == word and containing in step.rest]
    assert len(found) == 1, f"{len(found)} steps {word} with {containing!r}"
    return found[0]


def environment(steps: list[Step], base: Mapping[str, str]) -> dict[str, str]:
    """What a container's process finds around it: the base image's variables, then ours, with ARG defaults."""
    known = dict(base)
    arguments: dict[str, str] = {}
    for step in steps:
        if step.word in ("ENV", "ARG"):
            for assignment in shlex.split(step.rest):
                name, _, value = assignment.partition("=")
                target = known if step.word == "ENV" else arguments
                target[name] = Template(value).substitute(arguments | known)
    return known
