"""`python -m ollamaspace.embedded serve` and `pull MODEL`: the only place of the engine that reads its environment.

Named and set like Ollama: OLLAMA_HOST, OLLAMA_MODELS, OLLAMA_KEEP_ALIVE, OLLAMA_NUM_PARALLEL, OLLAMA_CONTEXT_LENGTH. Of
a number that makes no sense the default is taken with a warning, as Ollama does; not so of an address.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollamaspace.config import EngineAddress, values
from ollamaspace.embedded import machine, options, server
from ollamaspace.embedded.replies import Refusal, now
from ollamaspace.embedded.weights import Puller, PullFailed
from ollamaspace.errors import CannotStart, NoEngine, SettingsError

log = logging.getLogger("ollamaspace.embedded")

_USAGE = "usage: python -m ollamaspace.embedded serve | pull MODEL\n"
_DEFAULT_HOST = "127.0.0.1:11434"
_KEEP_ALIVE = "5m"
_PARALLEL, _MOST_PARALLEL = 2, 64
_CONTEXT, _MOST_CONTEXT = 4096, 1 << 20


class _Slog(logging.Formatter):
    """Lines as Ollama's: whoever supervises an engine reads the level from them."""

    def format(self, record: logging.LogRecord) -> str:
        level = "WARN" if record.levelno == logging.WARNING else record.levelname
        return f"time={now()} level={level} source={record.name} msg={json.dumps(record.getMessage())}"


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    handler = logging.StreamHandler()
    handler.setFormatter(_Slog())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        match arguments:
            case ["serve"]:
                return _serve(environ)
            case ["pull", name]:
                return asyncio.run(_pull(name, environ))
            case _:
                sys.stderr.write(_USAGE)
                return 2
    except CannotStart as why:
        sys.stderr.write(f"{why}\n")
        return why.exit_code
    except KeyboardInterrupt:
        return 130


def _serve(environ: Mapping[str, str]) -> int:
    if problems := machine.problems():
        raise NoEngine("\n".join(problems))
    asyncio.run(server.serve(_settings(environ)))
    return 0


async def _pull(name: str, environ: Mapping[str, str]) -> int:
    """One line that grows on a terminal; elsewhere a line for every tenth."""
    told = -1
    try:
        async for line in Puller(_models(environ), environ).lines(name):
            tenth = line["completed"] * 10 // line["total"] if "total" in line else None
            if tenth is None or tenth > told or sys.stdout.isatty():
                told = told if tenth is None else tenth
                sys.stdout.write(_shown(line))
                sys.stdout.flush()
    except PullFailed as failed:
        sys.stderr.write(f"Error: {failed}\n")
        return 1
    return 0


def _shown(line: Mapping[str, Any]) -> str:
    if "total" not in line:
        return f"{line['status']}\n"
    percent = line["completed"] * 100 // line["total"]
    start, end = ("\r", "" if percent < 100 else "\n") if sys.stdout.isatty() else ("", "\n")
    return f"{start}{line['status']}: {percent:3} % of {line['total'] // 1_000_000} MB{end}"


def _settings(environ: Mapping[str, str]) -> server.EngineSettings:
    return server.EngineSettings(
        address=_address(environ),
        models=_models(environ),
        keep_alive=_keep_alive(environ),
        parallel=_number(environ, "OLLAMA_NUM_PARALLEL", _PARALLEL, _MOST_PARALLEL),
        context=_number(environ, "OLLAMA_CONTEXT_LENGTH", _CONTEXT, _MOST_CONTEXT),
        environment=environ,
    )


def _address(environ: Mapping[str, str]) -> EngineAddress:
    given = environ.get("OLLAMA_HOST") or _DEFAULT_HOST
    try:
        return values.engine_address(given)
    except ValueError as wrong:
        raise SettingsError([f"OLLAMA_HOST={given}: {wrong}"]) from wrong


def _number(environ: Mapping[str, str], name: str, default: int, most: int) -> int:
    given = environ.get(name, "")
    try:
        return values.whole(1, most)(given) if given not in ("", "0") else default
    except ValueError as wrong:
        log.warning("%s=%s %s; %d is used", name, given, wrong, default)
        return default


def _keep_alive(environ: Mapping[str, str]) -> float:
    """Seconds. A bare number is seconds here, though not in a request."""
    given = environ.get("OLLAMA_KEEP_ALIVE") or _KEEP_ALIVE
    try:
        return options.keep_alive(float(given) if given.lstrip("-").isdigit() else given)
    except Refusal as wrong:
        log.warning("OLLAMA_KEEP_ALIVE: %s; %s is used", wrong, _KEEP_ALIVE)
        return options.keep_alive(_KEEP_ALIVE)


def _models(environ: Mapping[str, str]) -> Path:
    given = environ.get("OLLAMA_MODELS")
    return Path(given).expanduser() if given else _data_folder(environ) / "models"


def _data_folder(environ: Mapping[str, str]) -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "ollamaspace"
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home()) / "ollamaspace"
    return Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "ollamaspace"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
