"""Options, durations, think levels and formats: Ollama's words for them, and what llama.cpp calls the same.

All policy stands in the tables; the messages are Ollama's, and so are the statuses, 500 for a wrong option included.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from ollamaspace.embedded.replies import Refusal

# Ollama's option: its type in Ollama's words, llama.cpp's name for it (None: read elsewhere or not needed here),
# and Ollama's default, which is not always llama.cpp's.
_OPTIONS: dict[str, tuple[str, str | None, object]] = {
    "temperature": ("float32", "temperature", 0.8),
    "top_k": ("integer", "top_k", 40),
    "top_p": ("float32", "top_p", 0.9),
    "min_p": ("float32", "min_p", 0.0),
    "typical_p": ("float32", "typical_p", 1.0),
    "repeat_last_n": ("integer", "repeat_last_n", 64),
    "repeat_penalty": ("float32", "repeat_penalty", 1.0),
    "presence_penalty": ("float32", "presence_penalty", 0.0),
    "frequency_penalty": ("float32", "frequency_penalty", 0.0),
    "seed": ("integer", "seed", -1),
    "stop": ("array", "stop", []),
    "num_predict": ("integer", "n_predict", -1),
    "num_keep": ("integer", "n_keep", 4),
    "num_ctx": ("integer", None, None),
    "num_batch": ("integer", None, None),
    "num_gpu": ("integer", None, None),
    "main_gpu": ("integer", None, None),
    "num_thread": ("integer", None, None),
    "use_mmap": ("boolean", None, None),
}
_FITS: dict[str, tuple[type, ...]] = {
    "float32": (int, float),
    "integer": (int, float),
    "boolean": (bool,),
    "array": (list,),
}
_MIN_CONTEXT = 4

_LEVELS = ("high", "medium", "low", "max")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")


def sampling(options: Mapping[str, object], window: int) -> dict[str, Any]:
    """llama.cpp's sampling fields, every one of them said; raises Refusal 500, as Ollama does, for a wrong type."""
    body: dict[str, Any] = {}
    for name, (kind, theirs, default) in _OPTIONS.items():
        value = options.get(name)
        if value is not None:
            _check(name, kind, value)
        if theirs is not None:
            chosen = default if value is None else value
            body[theirs] = int(chosen) if kind == "integer" and isinstance(chosen, int | float) else chosen
    if body["n_predict"] < 0:
        body["n_predict"] = 10 * window
    return body


def context(options: Mapping[str, object], default: int, trained: int) -> int:
    """Tokens of the window that these options ask for, never more than the model was trained with."""
    asked = options.get("num_ctx")
    if asked is None:
        asked = default
    _check("num_ctx", "integer", asked)
    wanted = max(_MIN_CONTEXT, int(asked)) if isinstance(asked, int | float) else default
    return min(wanted, trained) if trained else wanted


def _check(name: str, kind: str, value: object) -> None:
    fits = isinstance(value, _FITS[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if fits and isinstance(value, list):
        fits = all(isinstance(item, str) for item in value)
    if fits and isinstance(value, float):
        fits = math.isfinite(value)
    if not fits:
        raise Refusal(500, f'option "{name}" must be of type {kind}')


def keep_alive(value: object) -> float:
    """Seconds; infinity for a negative one. A number is seconds, a string a Go duration with its unit."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        kind = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}.get(type(value), "nil")
        raise Refusal(400, f"Unsupported type: '{kind}'")
    seconds = _go_duration(value) if isinstance(value, str) else float(value)
    return math.inf if seconds < 0 else seconds


def _go_duration(text: str) -> float:
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    parts = _DURATION.findall(rest)
    quoted = json.dumps(text, ensure_ascii=False)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise Refusal(400, f"time: invalid duration {quoted}")
    for _, unit in parts:
        if not unit:
            raise Refusal(400, f"time: missing unit in duration {quoted}")
        if unit not in _UNITS:
            raise Refusal(400, f"time: unknown unit {json.dumps(unit, ensure_ascii=False)} in duration {quoted}")
    return sign * sum(float(number) * _UNITS[unit] for number, unit in parts)


def think(value: object) -> object:
    if isinstance(value, bool) or value in _LEVELS:
        return value
    if isinstance(value, str):
        said = json.dumps(value, ensure_ascii=False)
        raise Refusal(400, f'invalid think value: {said} (must be "high", "medium", "low", "max", true, or false)')
    raise Refusal(400, 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)')


def schema(value: object) -> dict[str, Any] | None:
    """The JSON Schema a format stands for; None where the answer is free."""
    if value is None or value == "":
        return None
    if value == "json":
        return {"type": "object"}
    if isinstance(value, dict):
        return value
    said = json.dumps(json.dumps(value, ensure_ascii=False, separators=(",", ":")), ensure_ascii=False)
    raise Refusal(500, f'invalid format: {said}; expected "json" or a valid JSON Schema object')
