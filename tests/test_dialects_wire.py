"""Records and counts out of what an engine wrote."""

from __future__ import annotations

import pytest

from ollamaspace.dialects.wire import object_of, record, tokens
from ollamaspace.errors import EngineError


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"1", b"\xff", b"[" * 100_000])
def test_a_record_is_an_object_or_nothing(raw: bytes) -> None:
    assert record(raw) is None
    with pytest.raises(EngineError):
        object_of(raw)


def test_counts_are_whole_numbers_and_absent_ones_are_zero() -> None:
    assert tokens({"a": 3, "b": 4}, "a", "b") == (3, 4)
    assert tokens({"a": 3}, "a", "b") == (3, 0)
    assert tokens({"a": "3"}, "a", "b") is None
    assert tokens({"a": True}, "a", "b") is None
    assert tokens({"a": -1}, "a", "b") is None
    assert tokens(None, "a", "b") is None
