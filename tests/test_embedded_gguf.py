from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ollamaspace.embedded import gguf
from tests.embedded_engine import gguf_file

METADATA: dict[str, str | int] = {"general.architecture": "llama", "llama.context_length": 8192}


def test_reads_metadata_and_tensors(tmp_path: Path) -> None:
    path = gguf_file(tmp_path / "a.gguf", METADATA, [("token_embd.weight", (576, 49152)), ("norm", (576,))])
    header = gguf.read(path)
    assert header.metadata == METADATA
    assert header.tensors[0] == gguf.Tensor("token_embd.weight", "F32", (576, 49152))
    assert header.parameters == 576 * 49152 + 576
    assert header.length == path.stat().st_size


def test_any_cut_is_told_from_a_whole_file(tmp_path: Path) -> None:
    whole = gguf_file(tmp_path / "a.gguf", METADATA, [("norm", (576,))]).read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(gguf.NotGguf):
            gguf.read(cut)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 a wheel",
        gguf.MAGIC + struct.pack("<IQQ", 1, 0, 0),
        gguf.MAGIC + struct.pack("<IQQ", 3, 0, 2**60),
        gguf.MAGIC + struct.pack("<IQQ", 3, 2**60, 0),
        gguf.MAGIC + struct.pack("<IQQQ", 3, 0, 1, 2**63) + b"x" * 64,
        gguf.MAGIC + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"a", 9, 8, 2**61) + b"x" * 64,
        gguf.MAGIC + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"a", 9, 9, 1) + b"x" * 64,
        gguf.MAGIC + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"a", 99) + b"x" * 64,
        gguf.MAGIC + struct.pack("<IQQQ1sI", 3, 1, 0, 1, b"a", 2**31) + b"x" * 64,
    ],
    ids=["no magic", "version", "many entries", "many tensors", "long key", "array", "nested", "type", "dimensions"],
)
def test_a_lying_header_is_refused_before_anything_is_made_room_for(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with pytest.raises(gguf.NotGguf):
        gguf.read(path)


def test_vocabularies_are_stepped_over(tmp_path: Path) -> None:
    words = b"".join(struct.pack("<Q2s", 2, b"ab") for _ in range(3))
    entry = struct.pack("<Q1sIIQ", 1, b"v", 9, 8, 3) + words
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf.MAGIC + struct.pack("<IQQ", 3, 0, 1) + entry)
    assert gguf.read(path).metadata == {"v": None}
