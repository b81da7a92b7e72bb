"""Reads JSON as Ollama does: what it accepts, what it ignores, and its words for every mistake.

Ollama decodes with Go's encoding/json: names match whatever their case, the last of two equal names wins, unknown
names and anything after the first value are ignored, null is the same as absent. Only the body is looked at, never
its content type.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ollamaspace.embedded.replies import Refusal

Fields = Mapping[str, "Kind"]


@dataclass(frozen=True)
class Kind:
    """What one field may hold: Go's name of its type, the JSON types that fit, a further look, and what is inside."""

    go: str
    fits: tuple[type, ...]
    look: Callable[[Any], object] | None = None
    inside: Fields | None = None


STRING = Kind("string", (str,))
BOOL = Kind("bool", (bool,))
INT = Kind("int", (int,))
FLOAT = Kind("float64", (int, float))
MAP = Kind("map[string]interface {}", (dict,))
ANY = Kind("interface {}", (object,))
INTS = Kind("[]int", (list,), lambda value: _each(value, int, "[]int"))

# Python's words for a syntax error, by how they begin, and Go's for the same place.
_LOOKING_FOR = (
    ("Expecting property name", "looking for beginning of object key string"),
    ("Illegal trailing comma before end of object", "looking for beginning of object key string"),
    ("Illegal trailing comma before end of array", "looking for beginning of value"),
    ("Expecting value", "looking for beginning of value"),
    ("Expecting ':'", "after object key"),
    ("Expecting ','", "after object key:value pair"),
    ("Invalid control character", "in string literal"),
    ("Invalid \\escape", "in string escape code"),
    ("Invalid \\uXXXX", "in \\u hexadecimal character escape"),
)
_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(parse_constant=lambda word: _bad(word[0], "looking for beginning of value"))


def decode(body: bytes, struct: str, fields: Fields, empty: str = "missing request body") -> dict[str, Any]:
    """The known fields of the object in `body`, lower-cased; raises Refusal 400 with Go's sentence."""
    text = body.decode("utf-8", "replace")
    start = _BLANK.match(text)
    at = start.end() if start else 0
    if at == len(text):
        raise Refusal(400, empty)
    try:
        value, _ = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as mistake:
        raise Refusal(400, _syntax(mistake)) from None
    except RecursionError:
        raise Refusal(400, "exceeded max depth") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(400, f"json: cannot unmarshal {_json_type(value)} into Go value of type api.{struct}")
    return _object(value, fields, f"{struct}.")


def images(values: list[object]) -> object:
    """Ollama's images are plain base64; Go names the first byte that is not."""
    return [_base64(value) for value in values]


def _object(value: Mapping[str, object], fields: Fields, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, content in value.items():
        kind = fields.get(name.lower())
        if kind is None or content is None:
            continue
        found[name.lower()] = _field(content, kind, f"{path}{name.lower()}")
    return found


def _field(content: object, kind: Kind, path: str) -> object:
    if not isinstance(content, kind.fits) or (isinstance(content, bool) and not {bool, object} & set(kind.fits)):
        raise Refusal(
            400, f"json: cannot unmarshal {_json_type(content)} into Go struct field {path} of type {kind.go}"
        )
    if kind.look is not None:
        content = kind.look(content)
    if kind.inside is None or not isinstance(content, list):
        return content
    for item in content:
        if not isinstance(item, dict):
            wrong = f"json: cannot unmarshal {_json_type(item)} into Go struct field {path} of type {kind.go[2:]}"
            raise Refusal(400, wrong)
    return [_object(item, kind.inside, f"{path}.") for item in content]


def _each(values: list[object], wanted: type, go: str) -> list[object]:
    for value in values:
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise Refusal(400, f"json: cannot unmarshal {_json_type(value)} into Go value of type {go[2:]}")
    return values


def _base64(value: object) -> bytes:
    if not isinstance(value, str):
        raise Refusal(400, f"json: cannot unmarshal {_json_type(value)} into Go value of type []uint8")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        wrong = re.search(r"[^A-Za-z0-9+/]", value)
        raise Refusal(400, f"illegal base64 data at input byte {wrong.start() if wrong else len(value)}") from None


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    names = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _syntax(mistake: json.JSONDecodeError) -> str:
    if mistake.pos >= len(mistake.doc.rstrip()) or mistake.msg.startswith("Unterminated"):
        return "unexpected EOF"
    what = next((go for python, go in _LOOKING_FOR if mistake.msg.startswith(python)), "looking for beginning of value")
    return f"invalid character {_quoted(mistake.doc[mistake.pos])} {what}"


def _bad(character: str, what: str) -> NoReturn:
    """Python would take NaN and Infinity for numbers; Go does not."""
    raise Refusal(400, f"invalid character {_quoted(character)} {what}")


def _quoted(character: str) -> str:
    """A character as Go quotes it: single quotes, its own kind escaped."""
    if character == "'":
        return "'\\''"
    if character == '"':
        return "'\"'"
    escaped = json.dumps(character, ensure_ascii=character < " ")[1:-1]
    return f"'{escaped}'"
