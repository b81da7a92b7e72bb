from __future__ import annotations

import os
from pathlib import Path

import pytest

from ollamaspace.embedded.catalogue import Catalogue, canonical, full, valid
from tests.embedded_engine import gguf_file

LLAMA: dict[str, str | int] = {
    "general.architecture": "llama",
    "general.type": "model",
    "general.file_type": 15,
    "llama.context_length": 8192,
    "llama.embedding_length": 512,
    "llama.block_count": 10,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
}


def test_every_gguf_file_is_a_model_and_nothing_else_is(tmp_path: Path) -> None:
    gguf_file(tmp_path / "one.gguf", LLAMA)
    gguf_file(tmp_path / "My Model (v2).gguf", LLAMA)
    gguf_file(tmp_path / "projector.gguf", {"general.architecture": "clip"})
    gguf_file(tmp_path / "adapter.gguf", {**LLAMA, "general.type": "adapter"})
    gguf_file(tmp_path / "big-00002-of-00002.gguf", {**LLAMA, "split.no": 1})
    (tmp_path / "broken.gguf").write_bytes(b"GGUF and no more")
    (tmp_path / "notes.txt").write_text("one")
    assert {model.name for model in Catalogue(tmp_path).models()} == {"one:latest", "My-Model-v2-:latest"}


def test_the_newest_comes_first(tmp_path: Path) -> None:
    for age, name in enumerate(("young", "middle", "old")):
        os.utime(gguf_file(tmp_path / f"{name}.gguf", LLAMA), (1e9 - age, 1e9 - age))
    assert [model.name for model in Catalogue(tmp_path).models()] == ["young:latest", "middle:latest", "old:latest"]


def test_a_file_that_comes_or_changes_is_seen_at_once(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    assert catalogue.models() == []
    gguf_file(tmp_path / "one.gguf", LLAMA)
    assert (before := catalogue.find("one"))
    gguf_file(tmp_path / "one.gguf", {**LLAMA, "llama.context_length": 4096, "general.name": "x"})
    assert (after := catalogue.find("one"))
    assert (before.trained_context, after.trained_context) == (8192, 4096)
    assert before.digest != after.digest


def test_a_broken_file_is_warned_about_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"nothing")
    catalogue = Catalogue(tmp_path)
    assert catalogue.models() == catalogue.models() == []
    assert [record.getMessage() for record in caplog.records] == ["broken.gguf is not served: not a GGUF file"]


def test_a_missing_folder_holds_no_models(tmp_path: Path) -> None:
    assert Catalogue(tmp_path / "none").models() == []


@pytest.mark.parametrize(
    ("more", "capabilities"),
    [
        ({"tokenizer.chat_template": "{{ messages }}"}, ["completion"]),
        ({"tokenizer.chat_template": "{% if tools %}{% endif %}"}, ["completion", "tools"]),
        ({"tokenizer.chat_template": "{{ tools }}<think>"}, ["completion", "tools", "thinking"]),
        ({"llama.pooling_type": 1}, ["embedding"]),
    ],
)
def test_what_a_model_can_is_read_off_its_file(
    tmp_path: Path, more: dict[str, str | int], capabilities: list[str]
) -> None:
    gguf_file(tmp_path / "one.gguf", {**LLAMA, **more})
    model = Catalogue(tmp_path).find("one")
    assert model
    assert model.capabilities == capabilities


def test_memory_is_the_weights_and_every_slots_window(tmp_path: Path) -> None:
    gguf_file(tmp_path / "one.gguf", LLAMA)
    model = Catalogue(tmp_path).find("one")
    assert model
    # Keys and values, two bytes each, for 10 layers of 2 heads of 64.
    assert model.memory(context=100, parallel=3) == model.size + 4 * 10 * 128 * 300
    assert model.details["quantization_level"] == "Q4_K_M"


@pytest.mark.parametrize("name", ["a", "a:1b", "library/a:1b", "registry.example:5000/library/a:1", "_a.b-c"])
def test_names_ollama_takes(name: str) -> None:
    assert valid(name)


@pytest.mark.parametrize("name", ["", "../etc", "a b", "/a", "a:", "a//b", "a:b:c", "-a", "a" * 81, "a/b/c/d", "ä"])
def test_names_it_does_not_take(name: str) -> None:
    assert not valid(name)


def test_one_model_has_many_names() -> None:
    assert {canonical(name) for name in ("a", "a:latest", "library/a", "registry.ollama.ai/library/a")} == {"a:latest"}
    assert full("a:1") == full("library/a:1") == "registry.ollama.ai/library/a:1"
