"""Who is measured, and how each is started: one function a relay, one table.

Every relay stands on loopback with buffering off, one worker, before the same engine. Ours starts an engine of its own
(the same program), because that is how it runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENGINE = HERE / "engine.py"
VENV = HERE.parent / ".cache" / "bench-venv"

SLOTS = "2000"
"""More than there are streams: the queue is asked each time and nobody waits."""
LIMITS = (
    *("--model", "tokens:*"),
    *("--requests-per-minute", "1000000"),
    *("--tokens-per-day", "1000000000000"),
    *("--concurrent", "10000"),
)


class Missing(Exception):
    """A relay cannot be started here; the text says what to do."""


@dataclass(frozen=True)
class Ground:
    """What a relay is given to stand on."""

    folder: Path
    port: int
    engine: str
    """HOST:PORT of the running engine."""
    binary: Path
    """What starts an engine: `binary serve`."""
    free: str
    """HOST:PORT where nothing runs."""
    key: str


@dataclass(frozen=True)
class Command:
    argv: list[str]
    path: str
    env: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    """With which it is called, if not with the one of the ground."""


def nginx(ground: Ground) -> Command:
    conf = ground.folder / "nginx.conf"
    temporary = "\n".join(
        f"  {kind}_temp_path {ground.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf.write_text(
        f"""daemon off;
worker_processes 1;
pid {ground.folder}/nginx.pid;
error_log {ground.folder}/nginx.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
{temporary}
  upstream engine {{ server {ground.engine}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{ground.port} backlog=2048;
    location / {{
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 300s;
    }}
  }}
}}
"""
    )
    return Command([_program("nginx"), "-c", str(conf), "-e", f"{ground.folder}/nginx.log"], "/api/chat")


def caddy(ground: Ground) -> Command:
    conf = ground.folder / "Caddyfile"
    conf.write_text(
        f"""{{
  admin off
  auto_https off
}}
http://:{ground.port} {{
  bind 127.0.0.1
  reverse_proxy {ground.engine} {{
    flush_interval -1
  }}
}}
"""
    )
    home = {"HOME": str(ground.folder), "XDG_DATA_HOME": str(ground.folder), "XDG_CONFIG_HOME": str(ground.folder)}
    argv = [_program("caddy"), "run", "--config", str(conf), "--adapter", "caddyfile"]
    return Command(argv, "/api/chat", home)


def original(ground: Ground) -> Command:
    python = _bench_venv()
    argv = [str(python), "-m", "uvicorn", "bench.original:app", "--host", "127.0.0.1", "--port", str(ground.port)]
    env = {"OLLAMA_API_KEY": ground.key, "OLLAMA_HOST": ground.engine}
    return Command([*argv, "--no-access-log"], "/chat_api", env)


def bare(ground: Ground) -> Command:
    argv = [sys.executable, "-m", "bench.bare", str(ground.port)]
    return Command(argv, "/chat_api", {"OLLAMA_HOST": ground.engine})


def ollamaspace(ground: Ground) -> Command:
    env = {
        "OLLAMA_API_KEY": ground.key,
        "OLLAMA_HOST": ground.free,
        "OLLAMASPACE_OLLAMA_BIN": str(ground.binary),
        "OLLAMASPACE_ENGINE": "ollama",
        "OLLAMASPACE_PORT": str(ground.port),
        "OLLAMASPACE_PULL": "0",
        "OLLAMASPACE_DATA_DIR": str(ground.folder / "data"),
    }
    return Command([sys.executable, "-m", "ollamaspace"], "/chat_api", env)


def v1(ground: Ground) -> Command:
    """The same, asked in OpenAI's words."""
    return replace(ollamaspace(ground), path="/v1/chat/completions")


def made_key(ground: Ground) -> Command:
    """The same with a line to wait in, called with a key that has every kind of limit and comes near none."""
    plain = ollamaspace(ground)
    slots = {"OLLAMA_NUM_PARALLEL": SLOTS, "OLLAMASPACE_QUEUE": SLOTS, "OLLAMASPACE_QUEUE_PER_KEY": SLOTS}
    command = replace(plain, env=plain.env | slots)
    folder = ("--data-dir", command.env["OLLAMASPACE_DATA_DIR"])
    make = [*command.argv, "keys", "new", *folder, *LIMITS, "bench"]
    made = subprocess.run(make, env=environment(command), check=True, stdout=subprocess.PIPE, text=True)
    return replace(command, key=made.stdout.strip())


RELAYS: dict[str, Callable[[Ground], Command]] = {
    "nginx": nginx,
    "caddy": caddy,
    "bare": bare,
    "ollamaspace": ollamaspace,
    "made-key": made_key,
    "v1": v1,
    "original": original,
}

LABELS = {
    "direct": "no relay at all",
    "nginx": "nginx",
    "caddy": "Caddy",
    "bare": "the least aiohttp relay (no key, no checks)",
    "ollamaspace": "**OllamaSpace**",
    "made-key": "the same, made key with limits, and a queue",
    "v1": "the same, /v1/chat/completions",
    "original": "FastAPI + httpx (the original design)",
}


def environment(command: Command) -> dict[str, str]:
    """Nothing of the caller's settings reaches a relay: a benchmark of somebody's .env compares nothing."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(HERE.parent), **command.env}


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is not installed: apt-get install nginx caddy, or leave it out with --relays")
    return path


def _bench_venv() -> Path:
    """The original's packages in a folder of their own, made once for each requirements.txt."""
    python = VENV / "bin" / "python"
    wanted = (HERE / "requirements.txt").read_text()
    made = VENV / "made-from.txt"
    if not made.exists() or made.read_text() != wanted:
        print(f"making {VENV} for the original design", file=sys.stderr)
        venv.create(VENV, clear=True, with_pip=True)
        requirements = str(HERE / "requirements.txt")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True)
        made.write_text(wanted)
    return python
