"""Request bodies, read the way Go's decoder reads them: names match whatever their case, the last one wins, unknown
names are ignored, and each mistake has the sentence that Ollama answers with.
"""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

Object = dict[str, Any]


class Stage(Enum):
    """Where a refusal comes from: Ollama frames each differently."""

    BODY = "the body could not be read"
    HANDLER = "the request makes no sense to the handler"
    ANSWER = "the model's side failed before the first token"


@dataclass
class Refused(Exception):
    status: int
    text: str
    stage: Stage = Stage.HANDLER


FIELD_TYPES: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "model": ("string", str),
    "name": ("string", str),
    "prompt": ("string", str),
    "system": ("string", str),
    "stream": ("bool", bool),
    "options": ("map[string]interface {}", dict),
    "messages": ("[]api.Message", list),
}
GO_NAMES: dict[type, str] = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}

THINK_WORDS = {"high", "medium", "low", "max"}
DURATION = re.compile(r"[-+]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+|[-+]?0")
MODEL_NAME = re.compile(r"(\w[\w.:-]*/)?(\w[\w-]*/)?\w[\w.-]*(:\w[\w.-]*)?")
INTEGER_OPTIONS = {"num_ctx", "num_predict", "num_batch", "num_gpu", "num_keep", "seed", "top_k", "repeat_last_n"}


def parse(body: bytes, empty: str = "missing request body") -> Object:
    """Raises Refused (400). Text after the first value is ignored."""
    text = body.decode("utf-8", "replace").lstrip()
    if not text:
        raise Refused(400, empty, Stage.BODY)
    try:
        value, _ = json.JSONDecoder(object_pairs_hook=_last_wins).raw_decode(text)
    except json.JSONDecodeError as error:
        raise Refused(400, _go_words(text, error), Stage.BODY) from None
    return _last_wins([(name.lower(), inner) for name, inner in value.items()]) if isinstance(value, dict) else {}


def check_native(fields: Object, struct: str) -> None:
    """`struct` is the Go type that the sentence names, such as ``ChatRequest``."""
    for name, (wanted, kind) in FIELD_TYPES.items():
        value = fields.get(name)
        if value is not None and not isinstance(value, kind):
            words = f"json: cannot unmarshal {GO_NAMES[type(value)]} into Go struct field {struct}.{name}"
            raise Refused(400, f"{words} of type {wanted}", Stage.BODY)
    _check_think(fields.get("think"))
    _check_keep_alive(fields.get("keep_alive"))
    for message in fields.get("messages") or []:
        _check_images(message.get("images") or [])
    if not 0 <= (fields.get("top_logprobs") or 0) <= 20:
        raise Refused(400, "top_logprobs must be between 0 and 20")


def check_options(options: Object) -> None:
    for name in INTEGER_OPTIONS & options.keys():
        if isinstance(options[name], (str, list, dict)):
            raise Refused(500, f'option "{name}" must be of type integer')


def check_format(value: Any) -> None:
    if value not in (None, "", "json") and not isinstance(value, dict):
        shown = json.dumps(json.dumps(value))
        text = f'invalid format: {shown}; expected "json" or a valid JSON Schema object'
        raise Refused(500, text, Stage.ANSWER)


def valid_name(name: str) -> bool:
    return bool(MODEL_NAME.fullmatch(name))


def _last_wins(pairs: list[tuple[str, Any]]) -> Object:
    fields: Object = {}
    for name, value in pairs:
        fields.pop(name, None)  # so that the order is that of the last occurrence too
        fields[name] = value
    return fields


def _go_words(text: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(text.rstrip()):
        return "unexpected EOF"
    where = "object key string" if text[: error.pos].rstrip().endswith("{") else "value"
    return f"invalid character '{text[error.pos]}' looking for beginning of {where}"


def _check_think(value: Any) -> None:
    if isinstance(value, str) and value not in THINK_WORDS:
        text = f'invalid think value: "{value}" (must be "high", "medium", "low", "max", true, or false)'
        raise Refused(400, text, Stage.BODY)


def _check_keep_alive(value: Any) -> None:
    if not isinstance(value, str) or DURATION.fullmatch(value):
        return
    problem = "missing unit in" if value.lstrip("+-").replace(".", "").isdigit() else "invalid"
    raise Refused(400, f'time: {problem} duration "{value}"', Stage.BODY)


def _check_images(images: list[str]) -> None:
    for image in images:
        bad = re.search(r"[^A-Za-z0-9+/=\r\n]", image)
        if bad:
            raise Refused(400, f"illegal base64 data at input byte {bad.start()}", Stage.BODY)
        try:
            binascii.a2b_base64(image)
        except binascii.Error:
            raise Refused(400, f"illegal base64 data at input byte {len(image)}", Stage.BODY) from None
