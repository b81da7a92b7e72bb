"""A prompt that is too long for the model's window is cut, as Ollama does by default, but not without a word.

Ollama drops the oldest messages silently. So it is asked not to; if it then refuses, it is asked once more and may cut,
and whoever asked is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from ollamaspace.gateway.strict_json import write_json

HEADER = "X-Prompt-Truncated"

TRUNCATED: web.RequestKey[bool] = web.RequestKey("truncated", bool)
"""True: the engine has not read the whole prompt."""

STATUS: dict[str, str | int] = {"status": "truncated"}
"""The same for a stream whose headers have been sent already."""


def bodies(asked: dict[str, Any]) -> tuple[bytes, Callable[[], bytes] | None]:
    """The body for a request of Ollama's dialect, and how to say it again when its prompt turns out to be too long.

    None: the caller wants to hear of that as an error, by ``"truncate": false``.
    """
    strict = write_json({**asked, "truncate": False})
    if asked.get("truncate") is False:
        return strict, None
    return strict, lambda: write_json({name: value for name, value in asked.items() if name != "truncate"})


def mark(request: web.Request, response: web.StreamResponse) -> None:
    """Before the headers of `response` are sent."""
    if request.get(TRUNCATED):
        response.headers[HEADER] = "true"
