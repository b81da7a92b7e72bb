"""Lines: whole ones only, the same ones however the bytes were cut, and none after the end."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollamaspace.dialects import ndjson
from ollamaspace.errors import EngineCrashed, EngineError
from tests import recordings

STREAMS = [
    "chat-stream",
    "chat-unicode",
    "chat-hostile-text",
    "generate-stream",
    "think-default-stream",
    "tools-stream",
    "runner-killed-midway",
    "no-final-line",
]
WORD = b'{"response":"a","done":false}\n'
FINAL = b'{"response":"","done":true}\n'
FAILED = b'{"error":"it broke"}\n'


def fed(*chunks: bytes) -> tuple[bytes, ndjson.Lines]:
    lines = ndjson.Lines()
    given_out = b"".join(lines.feed(chunk) for chunk in chunks)
    return given_out + lines.end(), lines


def cut(data: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(borders) if end > start]


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=40)
@given(data=st.data())
def test_any_cut_gives_the_same_whole_lines(name: str, data: st.DataObject) -> None:
    whole = "".join(recordings.load(name).chunks).encode()
    expected, reference = fed(whole)
    places = data.draw(st.lists(st.integers(0, len(whole)), max_size=30))

    lines = ndjson.Lines()
    pieces = [lines.feed(chunk) for chunk in cut(whole, places)]

    assert all(not piece or piece.endswith(b"\n") for piece in pieces)
    assert b"".join(pieces) + lines.end() == expected
    assert (lines.finished, lines.error) == (reference.finished, reference.error)


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_passed_on_as_it_came_but_for_its_error(name: str) -> None:
    chunks = [chunk.encode() for chunk in recordings.load(name).chunks]
    given_out, lines = fed(*chunks)
    assert given_out == b"".join(chunk for chunk in chunks if not chunk.startswith(b'{"error"'))
    assert lines.finished == (name not in ("runner-killed-midway", "no-final-line"))
    assert (lines.error is not None) == (name == "runner-killed-midway")


@pytest.mark.parametrize("place", range(1, len(FINAL)))
def test_the_final_line_is_known_wherever_it_is_cut(place: int) -> None:
    given_out, lines = fed(WORD, FINAL[:place], FINAL[place:])
    assert given_out == WORD + FINAL
    assert lines.finished


def test_an_unfinished_tail_is_held_and_never_given_out() -> None:
    given_out, lines = fed(WORD + WORD[:10])
    assert given_out == WORD
    assert not lines.finished


def test_a_last_line_without_a_newline_counts_if_it_is_complete() -> None:
    given_out, lines = fed(WORD, FINAL.rstrip(b"\n"))
    assert given_out == WORD + FINAL
    assert lines.finished
    given_out, lines = fed(WORD, FAILED.rstrip(b"\n"))
    assert given_out == WORD
    assert lines.error == '{"error":"it broke"}'


@pytest.mark.parametrize("after", [WORD, FINAL, FAILED, b"\n", b"nonsense"])
@pytest.mark.parametrize("together", [True, False])
def test_nothing_follows_the_final_record(after: bytes, together: bool) -> None:
    given_out, lines = fed(*([WORD + FINAL + after] if together else [WORD, FINAL, after]))
    assert given_out == WORD + FINAL
    assert lines.finished


@pytest.mark.parametrize("together", [True, False])
def test_an_error_line_is_held_back_with_all_that_follows_it_in_its_chunk(together: bool) -> None:
    given_out, lines = fed(*([WORD + FAILED + FINAL] if together else [WORD, FAILED]))
    assert given_out == WORD
    assert lines.error == '{"error":"it broke"}'
    assert not lines.finished


@pytest.mark.parametrize(
    "line",
    [
        b'{"response":"{\\"error\\":1}","done":false}\n',
        b'{"response":"\\n{\\"error\\":\\"x\\"}","done":false}\n',
        b'{"response":"\\"done\\":true","done":false}\n',
        b'{"message":{"tool_calls":[{"function":{"arguments":{"done":true,"error":"x"}}}]},"done":false}\n',
        b'{"response":"true","done":false}\n',
        b'{"response":"true \\"done\\"","done":"true"}\n',
    ],
)
def test_words_of_the_model_are_neither_an_end_nor_an_error(line: bytes) -> None:
    given_out, lines = fed(line)
    assert given_out == line
    assert (lines.finished, lines.error) == (False, None)


@pytest.mark.parametrize("line", [b'{"done": true}', b'{ "done" : true }', b'{"done":true,"error":1}'])
def test_blanks_in_a_final_line_do_not_matter(line: bytes) -> None:
    assert fed(line + b"\r\n")[1].finished


def test_lines_of_eight_megabytes_pass_and_longer_ones_are_given_up() -> None:
    piece = b"x" * 100_000
    lines = ndjson.Lines()
    assert not any(lines.feed(piece) for _ in range(80))
    assert len(lines.feed(b"\n")) == 8_000_001
    for _ in range(83):
        lines.feed(piece)
    with pytest.raises(EngineError, match="without an end"):
        lines.feed(piece)


@pytest.mark.parametrize("line", [b"", b"null", b"[1]", b"7", b'"done"', b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_object_is_not_final(line: bytes) -> None:
    assert not ndjson.is_final(line)


@pytest.mark.parametrize("text", ["", "two\nlines\r\n", '"quoted" \\', "\0\x1b[31m", "ü你好\u2028\U0001f600"])
def test_error_lines_are_one_line_of_json_whatever_the_words(text: str) -> None:
    line = ndjson.error_line(EngineCrashed(text))
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"error": text, "code": "engine_crashed"}


def test_half_a_surrogate_pair_does_not_stop_an_error() -> None:
    assert json.loads(ndjson.error_body(EngineError("a\ud800"))) == {"error": "a?", "code": "engine_error"}
