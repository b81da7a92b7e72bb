from __future__ import annotations

import pytest

from ollamaspace.embedded import replies
from ollamaspace.embedded.replies import Refusal


def test_json_is_written_as_go_writes_it() -> None:
    assert replies.dumps({"a": "<b> & \u2028 é\x00"}) == '{"a":"\\u003cb\\u003e \\u0026 \\u2028 é\\u0000"}'.encode()


def test_a_lone_surrogate_cannot_break_an_answer() -> None:
    assert replies.dumps("a\ud800b") == b'"a?b"'


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (1_795_431_114_000_000_001, "2026-11-23T10:51:54.000000001Z"),
    ],
)
def test_times_have_the_decimals_they_need(nanoseconds: int, text: str) -> None:
    assert replies.rfc3339(nanoseconds) == text


def test_each_dialect_has_its_own_error() -> None:
    refusal = Refusal(404, "gone")
    assert replies.error_body("/api/chat", refusal) == {"error": "gone"}
    openai = {"message": "gone", "type": "not_found_error", "param": None, "code": None}
    assert replies.error_body("/v1/chat/completions", refusal) == {"error": openai}
    anthropic = {"type": "error", "error": {"type": "not_found_error", "message": "gone"}}
    assert replies.error_body("/v1/messages", refusal) == anthropic
