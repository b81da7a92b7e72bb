"""One Chromium and one running space for all tests of the page; each test has a browser profile of its own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.browser.visitor import PATIENCE_MS
from tests.fake_engine import change, make_binary
from tests.fake_engine.scenario import Scenario
from tests.space import Space, started

FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--disable-quic --no-first-run"
).split()

expect.set_options(timeout=PATIENCE_MS)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The system's own; Playwright's is never downloaded."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "Chromium is missing: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of the fake engine behind `space`."""
    return make_binary(tmp_path_factory.mktemp("space"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def space(engine: Path) -> AsyncIterator[Space]:
    async with started(engine.parent, engine) as running:
        yield running


class Engine:
    """What the fake engine is to do from its next request on."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary

    def will(self, **scenario: Any) -> None:
        change(self._binary, **scenario)

    def will_say(self, text: str, thinking: str = "", interval: float = 0.0, **more: Any) -> None:
        """Answers with these words, cut where a model's tokens would be, roughly."""
        pieces = tuple(text[at : at + 5] for at in range(0, len(text), 5))
        thoughts = tuple(f"{word} " for word in thinking.split())
        self.will(tokens=pieces, thinking=thoughts, interval=interval, **more)


@pytest.fixture
def fake(engine: Path) -> Iterator[Engine]:
    """Behaves until told otherwise, and again afterwards."""
    yield Engine(engine)
    change(engine, **asdict(Scenario()))
