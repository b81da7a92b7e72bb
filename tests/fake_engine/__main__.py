"""`python -m tests.fake_engine --scenario FILE serve`: listens at OLLAMA_HOST, writes journal.jsonl beside FILE."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fake_engine.process import start


def main(arguments: list[str]) -> int:
    if len(arguments) != 3 or arguments[0] != "--scenario" or arguments[2] != "serve":
        print("usage: fake_engine --scenario FILE serve", file=sys.stderr)
        return 2
    start(Path(arguments[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
