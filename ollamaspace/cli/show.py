"""`config`, `url`, `healthcheck`: three answers in a line or a table each."""

from __future__ import annotations

import hashlib
import http.client
import sys

from ollamaspace.access.owner import owner_key
from ollamaspace.cli import banner
from ollamaspace.cli.arguments import Command
from ollamaspace.config import SETTINGS, Loaded, Setting
from ollamaspace.store.data_folder import prepare

_WITHIN = 4.0  # seconds


def config(command: Command) -> int:
    loaded = command.settings()
    width = max(len(setting.name) for setting in SETTINGS)
    for setting in SETTINGS:
        print(f"{setting.name:{width}}  {_shown(setting, loaded):32}  {loaded.origins[setting.name].value}")
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    return 0


def _shown(setting: Setting, loaded: Loaded) -> str:
    text = loaded.texts[setting.name]
    if text is None:
        return "-"
    # Enough to tell two keys apart, too little to be one.
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:8]}…" if setting.secret else text


def url(command: Command) -> int:
    settings = command.settings().settings
    key = owner_key(settings.api_key, prepare(settings.data_dir, command.environ))
    print(banner.signed_in(settings, key.text))
    return 0


def healthcheck(command: Command) -> int:
    settings = command.settings().settings
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, settings.port, timeout=_WITHIN)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer from {host} on port {settings.port}: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    print("alive" if status == 200 else f"answered with {status}")
    return 0 if status == 200 else 1
