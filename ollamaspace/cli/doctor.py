"""`doctor`: looks at everything that can be wrong, and says what to do about each problem."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ollamaspace import __version__
from ollamaspace.cli.arguments import Command
from ollamaspace.cli.progress import size
from ollamaspace.config import EngineAddress, Settings
from ollamaspace.engine import ports
from ollamaspace.engine.client import EngineClient
from ollamaspace.engine.locate import Choice, locate
from ollamaspace.engine.state import Kind
from ollamaspace.errors import CannotStart, OllamaSpaceError
from ollamaspace.store.data_folder import DataFolder, prepare

_MEMORY_FOR_4B = 6 * 10**9  # bytes; qwen3:4b takes about 3.5 GB with its context
_DISK_FOR_4B = 4 * 10**9


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    found: str
    remedy: str | None = None
    """None: nothing needs doing."""


async def doctor(command: Command) -> int:
    """1 if something must be mended before `serve` can work."""
    settings = command.settings().settings
    bad = 0
    print(f"OllamaSpace {__version__}\n")
    async for finding in _findings(settings, command):
        bad += finding.remedy is not None
        print(f"{'!' if finding.remedy else ' '} {finding.what:12} {finding.found}")
        if finding.remedy:
            print(f"  {'':12} → {finding.remedy}")
    print(f"\n{'Everything is in order.' if not bad else f'{bad} things need attention.'}")
    return 1 if bad else 0


async def _findings(settings: Settings, command: Command) -> AsyncIterator[Finding]:
    folder = _folder(settings, command)
    if isinstance(folder, Finding):
        yield folder
    else:
        yield Finding("data folder", f"{folder.path}{'' if folder.lasting else ' (temporary: nothing there lasts)'}")
        yield _disk(folder.path)
    yield _memory()
    yield await _port(settings)
    try:
        choice = await locate(settings, command.environ)
    except CannotStart as error:
        yield Finding("engine", "none that can be used", str(error))
        return
    async for finding in _engine(choice, folder if isinstance(folder, DataFolder) else None):
        yield finding


def _folder(settings: Settings, command: Command) -> DataFolder | Finding:
    try:
        return prepare(settings.data_dir, command.environ)
    except CannotStart as error:
        return Finding("data folder", "cannot be used", str(error))


def _disk(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    remedy = None if free >= _DISK_FOR_4B else "free some disk, or use a smaller model (OLLAMA_MODEL)"
    return Finding("disk", f"{size(free)} free", remedy)


def _memory() -> Finding:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return Finding("memory", "cannot be told here")
    remedy = None if total >= _MEMORY_FOR_4B else "use a smaller model than qwen3:4b (OLLAMA_MODEL)"
    return Finding("memory", f"{size(total)} in all", remedy)


async def _port(settings: Settings) -> Finding:
    where = f"{settings.host}:{settings.port}"
    if ports.is_free(EngineAddress(settings.host, settings.port)):
        return Finding("port", f"{where} is free")
    holder = await ports.holder(settings.port)
    return Finding("port", f"{where} is held by {holder}", "stop that, or choose another with --port, unless it is us")


async def _engine(choice: Choice, folder: DataFolder | None) -> AsyncIterator[Finding]:
    if choice.command is not None:
        yield Finding("engine", f"{_named(choice)}; it is not running now")
        if choice.kind is Kind.EMBEDDED and folder is not None:
            models = sorted(path.name for path in folder.models.glob("*.gguf"))
            yield Finding("models", ", ".join(models) or "none yet; the first start downloads one")
        return
    async with EngineClient.open(choice.url) as client:
        version = await client.version(2)
        if version is None:
            yield Finding("engine", f"{choice.url} does not answer", "start it, or unset OLLAMASPACE_OLLAMA_URL")
            return
        yield Finding("engine", f"{version} is running at {choice.url}")
        try:
            models = [f"{model.name} ({size(model.size)})" for model in await client.models()]
        except OllamaSpaceError as error:
            yield Finding("models", "cannot be listed", str(error))
            return
        yield Finding("models", ", ".join(models) or "none yet; the first start downloads one")


def _named(choice: Choice) -> str:
    if choice.kind is Kind.EMBEDDED:
        return "the embedded engine, a small demonstration model"
    return choice.command[0] if choice.command else choice.url
