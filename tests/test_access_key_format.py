"""What a key looks like, and that a damaged one is told from a whole one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollamaspace.access import key_format
from ollamaspace.config.weakness import weakness

KEY = "osk_50HDRdjhrt9aD6TlJvTOvmPcR4rehEdQGUcsLQ4ovor1lihqW"  # made once: tests must have the same names each time
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_keys_are_random_of_one_length_and_whole() -> None:
    keys = {key_format.generate() for _ in range(200)}

    assert len(keys) == 200
    assert all(re.fullmatch(r"osk_[0-9A-Za-z]{49}", key) for key in keys)
    assert all(key_format.is_whole(key) and weakness(key) is None for key in keys)


def test_all_256_bits_can_be_in_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for filling in (b"\x00", b"\xff"):
        monkeypatch.setattr("ollamaspace.access.key_format.secrets.token_bytes", lambda size, each=filling: each * size)
        made.append(key_format.generate())

    values = []
    for key in made:
        value = 0
        for digit in key[4:47]:
            value = value * 62 + DIGITS.index(digit)
        values.append(value)
    assert values == [0, 2**256 - 1]


@given(place=st.integers(0, len(KEY) - 1), other=st.characters(codec="utf-8"))
def test_one_wrong_character_is_noticed(place: int, other: str) -> None:
    changed = KEY[:place] + other + KEY[place + 1 :]

    assert key_format.is_whole(changed) is (changed == KEY)


@pytest.mark.parametrize("text", ["", "osk_", KEY[:-1], KEY + "0", " " + KEY, KEY + "\n", KEY.upper(), "hf_" + KEY[4:]])
def test_anything_else_is_no_key(text: str) -> None:
    assert not key_format.is_whole(text)


def test_what_is_shown_of_a_key_is_part_of_its_checksum() -> None:
    assert KEY.endswith(key_format.ending(KEY))
    assert len(key_format.ending(KEY)) < 6
