"""Which key is the owner's, and which of them may be shown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ollamaspace.access.owner import OwnerKey, owner_key
from ollamaspace.store.data_folder import DataFolder

KEY = "correct-horse-battery-staple"


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path, lasting=True)


def test_the_configured_key_counts_and_is_not_kept(folder: DataFolder) -> None:
    assert owner_key(KEY, folder) == OwnerKey(KEY, generated=False)
    assert not folder.key_file.exists()


def test_without_one_a_key_is_made_once(folder: DataFolder) -> None:
    first = owner_key(None, folder)
    assert first.generated
    assert len(first.text) == 43
    assert owner_key(None, folder) == first
    assert folder.read_key() == first.text


def test_a_kept_key_that_guards_nothing_is_replaced_and_that_is_said(
    folder: DataFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.keep_key("hunter2")
    with caplog.at_level(logging.WARNING):
        found = owner_key(None, folder)
    assert len(found.text) == 43
    assert folder.read_key() == found.text
    assert "a new one takes its place" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_key_is_not_in_what_is_printed_by_accident(folder: DataFolder) -> None:
    assert KEY not in repr(owner_key(KEY, folder))
