"""The engine for a command: found, and with whoever starts or watches it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from ollamaspace.config import Settings
from ollamaspace.engine.client import EngineClient
from ollamaspace.engine.environment import child_environment
from ollamaspace.engine.locate import Choice, locate
from ollamaspace.engine.state import Kind, Standing
from ollamaspace.engine.supervisor import Launch, Supervisor, Timing
from ollamaspace.engine.watcher import Watcher
from ollamaspace.store.data_folder import DataFolder


@dataclass(frozen=True, slots=True)
class Opened:
    choice: Choice
    client: EngineClient
    engine: Supervisor | Watcher


@contextlib.asynccontextmanager
async def opened(settings: Settings, environ: Mapping[str, str], folder: DataFolder) -> AsyncIterator[Opened]:
    """Not started yet: that is `engine.run()`. Raises NoEngine or PortTaken."""
    choice = await locate(settings, environ)
    async with EngineClient.open(choice.url) as client:
        standing = Standing(choice.kind)
        timing = Timing(start=settings.start)
        if choice.command is None or choice.address is None:
            yield Opened(choice, client, Watcher(client, standing, timing))
            return
        child = child_environment(environ, choice.address, folder.path, settings.allow_cloud)
        if choice.kind is Kind.EMBEDDED:
            child["OLLAMA_MODELS"] = str(folder.models)
        launch = Launch(choice.command, child, choice.address)
        yield Opened(choice, client, Supervisor(launch, client, standing, timing))
