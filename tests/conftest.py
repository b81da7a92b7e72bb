"""Fixtures for tests that need the whole program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.fake_engine import make_binary
from tests.space import Space, started


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def space(tmp_path: Path) -> AsyncIterator[Space]:
    """The real command before the fake engine, open."""
    async with started(tmp_path, make_binary(tmp_path)) as running:
        yield running
