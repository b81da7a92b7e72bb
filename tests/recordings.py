"""The recorded exchanges with a real Ollama, read from `tests/exchanges/`.

A recording is evidence and is never changed here; tests that need a variation make one with `dataclasses.replace`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "exchanges"

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Headers
    body: bytes
    """Empty where nothing was sent."""


@dataclass(frozen=True)
class Recording:
    name: str
    title: str
    engine: str
    request: Request
    status: int
    headers: Headers
    chunks: tuple[str, ...]
    """One text an HTTP chunk, or one for a whole body."""
    ended: str

    @property
    def ending(self) -> str:
        """``complete``, ``cut`` by the engine, or ``open``: whoever recorded it stopped reading first."""
        if self.ended == "complete":
            return "complete"
        return "cut" if self.ended.startswith("cut") else "open"


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@cache
def load(name: str) -> Recording:
    """Raises FileNotFoundError for a name that was never recorded."""
    data: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    asked = data["request"]
    return Recording(
        name=name,
        title=data["title"],
        engine=data["engine"],
        request=Request(asked["method"], asked["path"], _headers(asked["headers"]), _body(asked["body"])),
        status=data["status"],
        headers=_headers(data["headers"]),
        chunks=tuple(text for _, text in data["chunks"]),
        ended=data["ended"],
    )


def _headers(pairs: list[list[str]]) -> Headers:
    return tuple((name, value) for name, value in pairs)


def _body(value: Any) -> bytes:
    if value is None:
        return b""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode()
