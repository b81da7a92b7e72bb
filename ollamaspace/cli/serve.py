"""`serve`: the engine first, then the port; at the end the readers first, then the engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket

from aiohttp import web

from ollamaspace.access.keys import owners_keyring
from ollamaspace.access.owner import OwnerKey, owner_key
from ollamaspace.app import Parts, armour, build_app
from ollamaspace.cli import banner
from ollamaspace.cli.arguments import Command
from ollamaspace.cli.engines import Opened, opened
from ollamaspace.cli.progress import PullTeller
from ollamaspace.config import Settings
from ollamaspace.engine import ports
from ollamaspace.engine.orphans import become_subreaper
from ollamaspace.engine.state import State
from ollamaspace.errors import OllamaSpaceError, PortTaken
from ollamaspace.gateway.streams import Streams
from ollamaspace.logs import set_up
from ollamaspace.models.catalogue import Catalogue
from ollamaspace.models.pulls import Pulls
from ollamaspace.store.data_folder import DataFolder, prepare
from ollamaspace.web.connections import Runner

log = logging.getLogger("ollamaspace.serve")

DRAIN = 5.0  # seconds that streams may go on after the first signal
LAST_HANDLERS = 0.5  # seconds for handlers that are no streams; aiohttp spends it twice
_BACKLOG = 1024


async def serve(command: Command) -> int:
    loaded = command.settings()
    settings = loaded.settings
    finish = set_up(settings.log_format, settings.log_level, settings.on_space)
    try:
        for warning in loaded.warnings:
            log.warning("%s", warning)
        folder = prepare(settings.data_dir, command.environ)
        key = owner_key(settings.api_key, folder)
        _allow_many_connections()
        become_subreaper()
        with contextlib.closing(await _reserve(settings)) as door:
            async with opened(settings, command.environ, folder) as found:
                return await Server(settings, folder, key, found, door).run()
    finally:
        finish()


class Server:
    """One life of the process, from the engine's start to its end."""

    def __init__(
        self, settings: Settings, folder: DataFolder, key: OwnerKey, found: Opened, door: socket.socket
    ) -> None:
        self._settings, self._folder, self._key, self._found, self._door = settings, folder, key, found, door
        self._asked_to_stop = asyncio.Event()
        self._signals = 0

    async def run(self) -> int:
        """The exit code. Raises NoEngine when the engine never became ready."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._signalled)
        self._say_where_the_engine_listens()
        engine = self._found.engine
        running = asyncio.create_task(engine.run(), name="engine")
        try:
            if await self._until_ready(running):
                await self._serve(running)
        finally:
            engine.stop()
            await running
        return 0

    def _signalled(self) -> None:
        if self._asked_to_stop.is_set():
            # The second signal means now. The kernel closes what is open, and the lifeline sees to what is left.
            self._found.engine.kill()
            os._exit(130)
        self._asked_to_stop.set()

    def _say_where_the_engine_listens(self) -> None:
        asked, given = self._settings.engine_address, self._found.choice.address
        if given is None or not asked.beyond:
            return
        if given.beyond:
            log.warning("the engine listens at %s: whoever reaches that address needs no key", given)
        else:
            log.info("OLLAMA_HOST=%s would let others use the engine without a key; it listens at %s", asked, given)

    async def _until_ready(self, running: asyncio.Task[None]) -> bool:
        """False when a signal came first, or the engine gave up: that is raised by whoever awaits it."""
        standing = self._found.engine.standing
        stop = asyncio.create_task(self._asked_to_stop.wait())
        try:
            while standing.state is not State.READY and not stop.done() and not running.done():
                changed = asyncio.create_task(standing.changed())
                await asyncio.wait({changed, stop, running}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
            return standing.state is State.READY and not stop.done()
        finally:
            stop.cancel()

    async def _serve(self, running: asyncio.Task[None]) -> None:
        """Open the port, serve until a signal, and see every reader off. The engine is stopped by the caller."""
        parts = self._parts()
        runner = Runner(
            build_app(parts),
            armour(self._settings).plain(),
            self._settings.max_connections,
            shutdown_timeout=LAST_HANDLERS,
        )
        sweeping = asyncio.create_task(parts.streams.sweep(), name="sweep")
        await runner.setup()
        site = web.SockSite(runner, self._door, backlog=_BACKLOG)
        await site.start()
        banner.say(self._block())
        log.info("listening on %s:%d", self._settings.host, self._settings.port)
        pulling = asyncio.create_task(self._pull_what_is_missing(parts), name="first pull")
        try:
            stop = asyncio.create_task(self._asked_to_stop.wait())
            await asyncio.wait({stop, running}, return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
        finally:
            log.info("stopping; %d streams have %g s to end", len(parts.streams), DRAIN)
            await site.stop()
            await parts.streams.drain(DRAIN)
            self._found.engine.stop()
            for task in (pulling, sweeping):
                task.cancel()
            await asyncio.gather(parts.pulls.cancel(), runner.cleanup(), pulling, sweeping, return_exceptions=True)

    def _parts(self) -> Parts:
        settings, client, engine = self._settings, self._found.client, self._found.engine
        catalogue = Catalogue(client, engine.standing.kind, settings.model)
        return Parts(
            settings=settings,
            client=client,
            engine=engine,
            streams=Streams(settings.first_byte, settings.stall, settings.write, engine.restart),
            catalogue=catalogue,
            pulls=Pulls(client, catalogue, settings.stall, PullTeller()),
            keyring=owners_keyring(self._key.text),
        )

    def _block(self) -> str:
        choice, standing = self._found.choice, self._found.engine.standing
        return banner.block(self._settings, self._key, standing, choice.url, self._folder)

    async def _pull_what_is_missing(self, parts: Parts) -> None:
        if not self._settings.pull:
            return
        try:
            missing = await parts.catalogue.missing()
        except OllamaSpaceError as error:
            log.warning("the engine's models cannot be listed: %s", error)
            return
        if missing is not None:
            parts.pulls.start(missing)


async def _reserve(settings: Settings) -> socket.socket:
    """Take the port without opening it: nobody can connect before `listen`. Raises PortTaken, naming the holder."""
    door = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((settings.host, settings.port))
    except OSError as error:
        door.close()
        who = await ports.holder(settings.port)
        raise PortTaken(
            f"Port {settings.port} on {settings.host} cannot be had: {error.strerror or 'it is taken'}; it is held by"
            f" {who}. Stop that, or choose another with --port."
        ) from error
    return door


def _allow_many_connections() -> None:
    """A stream takes two descriptors; the soft limit is often 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
