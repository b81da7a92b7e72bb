"""Downloads: several pulls of one model share one, and what was loaded when the last reader left is kept."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from tests.fake_engine.decode import Object, Refused, valid_name
from tests.fake_engine.scenario import Scenario
from tests.fake_engine.shelf import Shelf

SMALL_LAYERS = (102, 59, 152)
STUCK_AT = 1 / 3
"""The share of the layer at which the unhappy pulls stop."""

AT_ONCE = {
    "unknown": "pull model manifest: file does not exist",
    "registry_error": 'pull model manifest: 500: {{"errors":[{{"code":"INTERNAL","message":"sorry"}}]}}',
    "no_network": 'pull model manifest: Get "{url}": dial tcp: lookup {host} on 192.0.2.53:53: no such host',
    "no_tls": 'pull model manifest: Get "{url}": tls: first record does not look like a TLS handshake',
}
HALFWAY = {
    "cuts": "max retries exceeded: unexpected EOF",
    "disk_full": "write sha256-{layer}-partial: no space left on device",
}
MISMATCH = "digest mismatch, file must be downloaded again: want sha256:{layer}, got sha256:{other}"


class Download:
    """Moves only while somebody reads; no task, just the clock."""

    def __init__(self) -> None:
        self.readers = 0
        self._done = 0.0
        self._since = 0.0

    def join(self) -> None:
        if not self.readers:
            self._since = time.monotonic()
        self.readers += 1

    def leave(self, scenario: Scenario) -> None:
        self._done = self.completed(scenario)
        self._since = time.monotonic()
        self.readers -= 1

    def completed(self, scenario: Scenario) -> int:
        end = scenario.pull_bytes if scenario.pull in {"success", "mismatch"} else scenario.pull_bytes * STUCK_AT
        rate = scenario.pull_bytes / max(scenario.pull_time, 0.001)
        return int(min(end, self._done + rate * (time.monotonic() - self._since)))


class Puller:
    def __init__(self, shelf: Shelf, scenario: Callable[[], Scenario]) -> None:
        self._shelf = shelf
        self._scenario = scenario
        self._downloads: dict[str, Download] = {}

    async def lines(self, name: str) -> AsyncGenerator[Object, None]:
        """Raises Refused for a bad name before the first line; a failure later on is the last line."""
        if not valid_name(name):
            raise Refused(400, "invalid model name")
        scenario = self._scenario()
        yield {"status": "pulling manifest"}
        if self._shelf.find(name):
            sizes = (scenario.pull_bytes, *SMALL_LAYERS)
            for number, size in enumerate(sizes):
                yield _progress(layer_of(name, number), size, size)
        elif scenario.pull in AT_ONCE:
            yield {"error": AT_ONCE[scenario.pull].format(url=manifest_url(name), host=host_of(name))}
            return
        else:
            async with aclosing(self._download(name)) as lines:
                async for line in lines:
                    yield line
                    if "error" in line:
                        return
        yield {"status": "verifying sha256 digest"}
        if scenario.pull == "mismatch":
            yield {"error": MISMATCH.format(layer=layer_of(name), other=layer_of(name, 9))}
            return
        yield {"status": "writing manifest"}
        self._shelf.add(name)
        yield {"status": "success"}

    async def _download(self, name: str) -> AsyncGenerator[Object, None]:
        download = self._downloads.setdefault(name, Download())
        download.join()
        layer = layer_of(name)
        try:
            while True:
                scenario = self._scenario()
                completed = download.completed(scenario)
                stuck = completed == int(scenario.pull_bytes * STUCK_AT)
                yield _progress(layer, scenario.pull_bytes, completed)
                if completed == scenario.pull_bytes:
                    return
                if stuck and scenario.pull in HALFWAY:
                    yield {"error": HALFWAY[scenario.pull].format(layer=layer)}
                    return
                if stuck and scenario.pull == "silence":
                    await asyncio.Event().wait()
                await asyncio.sleep(scenario.pull_interval)
        finally:
            download.leave(self._scenario())


def layer_of(name: str, number: int = 0) -> str:
    """Sixty-four hexadecimal digits."""
    return f"{zlib.crc32(f'{name} {number}'.encode()):08x}" * 8


def host_of(name: str) -> str:
    return name.split("/")[0] if name.count("/") == 2 else "registry.ollama.ai"


def manifest_url(name: str) -> str:
    bare, _, tag = name.rpartition("/")[2].partition(":")
    namespace = name.split("/")[-2] if "/" in name else "library"
    return f"https://{host_of(name)}/v2/{namespace}/{bare}/manifests/{tag or 'latest'}"


def _progress(layer: str, total: int, completed: int) -> Object:
    line: Object = {"status": f"pulling {layer[:12]}", "digest": f"sha256:{layer}", "total": total}
    return {**line, "completed": completed} if completed else line
