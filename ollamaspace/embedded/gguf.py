"""Reads what stands at the head of a GGUF file: its metadata and the list of its tensors.

Never reads weights and never trusts a length: every count is checked against the file's size before anything is
allocated. Format: the GGUF specification, versions 2 and 3, little endian.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

MAGIC = b"GGUF"
Value = str | int | float | bool | None

_STRING, _ARRAY = 8, 9
_SCALARS: dict[int, struct.Struct] = {
    kind: struct.Struct("<" + code)
    for kind, code in zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True)
}
_TENSOR_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip
_MAX_DIMENSIONS = 8


class NotGguf(ValueError):
    """The file is not a GGUF file, or is cut off inside its header."""


@dataclass(frozen=True)
class Tensor:
    name: str
    type: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Header:
    metadata: dict[str, Value]
    """Arrays are left out as None: they are vocabularies, megabytes that nobody asked for."""
    tensors: tuple[Tensor, ...]
    length: int
    """Bytes from the start of the file to the end of the tensor list."""

    @property
    def parameters(self) -> int:
        return sum(prod(tensor.shape) for tensor in self.tensors)

    def text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int:
        value = self.metadata.get(key)
        return int(value) if isinstance(value, int | float) else 0


class _Cursor:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._size = len(data)
        self.at = 0

    def take(self, length: int) -> bytes:
        start = self.at
        self.skip(length)
        return self._data[start : self.at]

    def skip(self, length: int) -> None:
        if length > self._size - self.at:
            raise NotGguf("the file is cut off inside its header")
        self.at += length

    def scalar(self, kind: int) -> int | float | bool:
        layout = _SCALARS.get(kind)
        if layout is None:
            raise NotGguf(f"unknown metadata type {kind}")
        value: int | float | bool = layout.unpack(self.take(layout.size))[0]
        return value

    def count(self) -> int:
        return int(self.scalar(10))

    def string(self) -> str:
        return self.take(self.count()).decode("utf-8", "replace")

    def value(self, kind: int) -> Value:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            self._skip_array()
            return None
        return self.scalar(kind)

    def _skip_array(self) -> None:
        kind, length = int(self.scalar(4)), self.count()
        if kind in _SCALARS:
            self.skip(_SCALARS[kind].size * length)
            return
        if kind not in (_STRING,):
            raise NotGguf("nested arrays are not metadata anybody writes")
        self._require(length, 8)
        for _ in range(length):
            self.skip(self.count())

    def _require(self, count: int, least: int) -> None:
        """A count of things of at least `least` bytes each must fit into what is left of the file."""
        if count * least > self._size - self.at:
            raise NotGguf("the header claims more than the file holds")

    def many(self, count: int, least: int, read: Callable[[], None]) -> None:
        self._require(count, least)
        for _ in range(count):
            read()


def read(path: Path) -> Header:
    """Raises NotGguf for anything else than a whole header, OSError where the file cannot be read."""
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as empty:
            raise NotGguf("the file is empty") from empty
        with data:
            return _header(_Cursor(data))


def _header(cursor: _Cursor) -> Header:
    if cursor.take(4) != MAGIC:
        raise NotGguf("not a GGUF file")
    version = int(cursor.scalar(4))
    if version not in (2, 3):
        raise NotGguf(f"GGUF version {version} is not known here")
    tensor_count, metadata_count = cursor.count(), cursor.count()
    metadata: dict[str, Value] = {}
    tensors: list[Tensor] = []

    def entry() -> None:
        key = cursor.string()
        metadata[key] = cursor.value(int(cursor.scalar(4)))

    def tensor() -> None:
        name, dimensions = cursor.string(), int(cursor.scalar(4))
        if dimensions > _MAX_DIMENSIONS:
            raise NotGguf(f"a tensor of {dimensions} dimensions")
        shape = tuple(cursor.count() for _ in range(dimensions))
        kind = int(cursor.scalar(4))
        cursor.skip(8)
        tensors.append(Tensor(name, _TENSOR_TYPES.get(kind, f"type {kind}"), shape))

    cursor.many(metadata_count, 13, entry)
    cursor.many(tensor_count, 24, tensor)
    return Header(metadata, tuple(tensors), cursor.at)
