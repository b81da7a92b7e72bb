"""Whether the engine's port can be had, and who has it otherwise."""

from __future__ import annotations

import asyncio
import socket

from ollamaspace.config import EngineAddress
from ollamaspace.engine import group


def is_free(address: EngineAddress) -> bool:
    """Whether a server could listen there now. Closed connections of an earlier one do not count."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address.host, address.port))
            probe.listen(1)
    except OSError:
        return False
    return True


async def holder(port: int) -> str:
    """For a person to read."""
    return await asyncio.to_thread(group.holder, port) or "another process"
