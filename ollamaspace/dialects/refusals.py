"""What the engine says when it refuses, made readable: the right status, and words for a person.

Ollama answers some of its callers' mistakes with 500, and passes its runner's JSON on as a string inside `error`
(both recorded in tests/exchanges).
"""

from __future__ import annotations

import json
import re
from typing import Any

from ollamaspace.errors import EngineError

_MOST = 600  # characters of the engine's words that are passed on

# (what Ollama says, under 500) that are the caller's mistakes.
_CALLERS_MISTAKES = re.compile(
    r'^option "[^"]*" must be of type|^invalid format:|does not support (tools|thinking|chat|generate|insert)'
    r"|exceeds the (available )?context|image input is not supported|invalid (image|options)"
)
_UNKNOWN_MODEL = re.compile(r"^model ['\"].*['\"] not found")
_PATH = re.compile(r"(?<![\w:/.])/(?:[^\s/:\"']+/)+[^\s/:\"',]*")
_FULL_NAME = re.compile(r"\bregistry\.ollama\.ai/library/")


def readable(text: str) -> str:
    """The sentence inside `text`, without paths of the engine's machine."""
    for _ in range(3):  # JSON in a string in JSON; more layers have not been seen
        inner = _message(text)
        if inner is None:
            break
        text = inner
    text = _PATH.sub("…", _FULL_NAME.sub("", text)).strip()
    return text[:_MOST] or "The engine refused without saying why."


def _message(text: str) -> str | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value: Any = json.loads(text)
    except ValueError:
        return None
    while isinstance(value, dict):
        value = value.get("error", value.get("message"))
    return value if isinstance(value, str) else None


def refusal(status: int, body: bytes) -> EngineError:
    """The error for a reply that is not 200."""
    raw = body.decode("utf-8", "replace")
    text = readable(raw) if raw.strip() else f"The engine answered with status {status} and no words."
    if status == 503:
        busy = EngineError(text, 503)
        busy.code, busy.retry_after = "queue_full", 5
        return busy
    if status in (400, 413, 422) or _CALLERS_MISTAKES.search(text):
        return EngineError(text, 400)
    return EngineError(text)


def is_unknown_model(status: int, body: bytes) -> bool:
    return status == 404 and bool(_UNKNOWN_MODEL.match(readable(body.decode("utf-8", "replace"))))
