"""Replies cut into chunks wherever a network may cut them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from ollamaspace.dialects.wire import Splitter
from tests import recordings


def recorded(name: str) -> bytes:
    return "".join(recordings.load(name).chunks).encode()


def fed(splitter: Splitter, *chunks: bytes) -> bytes:
    return b"".join(splitter.feed(chunk) for chunk in chunks)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, none of them empty."""
    borders = sorted({0, len(data), *(place % len(data) for place in places)})
    return [data[begin:end] for begin, end in pairwise(borders)]


places = st.lists(st.integers(min_value=0, max_value=1_000_000), max_size=12)
