"""How the benchmark calls OllamaSpace: with a key that counts, and with the same settings at every door."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.relays import SLOTS, Ground, made_key, ollamaspace, v1
from bench.round import KEY
from ollamaspace.access.key_format import is_whole


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path, 1, "127.0.0.1:2", tmp_path / "engine", "127.0.0.1:3", KEY)


def test_a_made_key_is_in_the_data_folder_of_the_relay(ground: Ground) -> None:
    command = made_key(ground)
    assert command.key is not None
    assert is_whole(command.key)
    assert any(Path(command.env["OLLAMASPACE_DATA_DIR"]).iterdir())
    assert command.env["OLLAMA_NUM_PARALLEL"] == SLOTS


def test_only_the_door_differs_for_openai(ground: Ground) -> None:
    ours, theirs = ollamaspace(ground), v1(ground)
    assert (theirs.argv, theirs.env, theirs.key) == (ours.argv, ours.env, ours.key)
    assert (ours.path, theirs.path) == ("/chat_api", "/v1/chat/completions")
