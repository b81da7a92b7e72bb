"""Flags, made from the table of settings, and where the other settings come from."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollamaspace import __version__
from ollamaspace.config import SETTINGS, Loaded, load
from ollamaspace.config.settings import parse_dotenv
from ollamaspace.errors import SettingsError

COMMANDS = {
    "serve": "start the engine and the gateway (the default)",
    "doctor": "look at everything that can be wrong and say what to do",
    "config": "show every setting, its value and where it comes from",
    "healthcheck": "ask a running server whether it is alive",
    "url": "print the signed-in address again",
    "pull": "download a model",
}


@dataclass(frozen=True, slots=True)
class Command:
    """What was asked for, and the surroundings it was asked in."""

    name: str
    model: str | None
    flags: Mapping[str, str]
    environ: Mapping[str, str]
    dotenv: Mapping[str, str]

    def settings(self) -> Loaded:
        """Raises SettingsError."""
        return load(self.flags, self.environ, self.dotenv)


def parse(argv: Sequence[str]) -> Command:
    """Exits with 2 for words it does not know, as argparse does. Raises SettingsError for a .env that is no use."""
    given = _parser().parse_args(list(argv))
    flags = {setting.field: getattr(given, setting.field, None) for setting in SETTINGS if setting.flag}
    environ = dict(os.environ)
    return Command(
        name=given.command or "serve",
        model=getattr(given, "what", None),
        flags={name: text for name, text in flags.items() if text is not None},
        environ=environ,
        dotenv={} if environ.get("SPACE_ID") else _dotenv(),
    )


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    settings = common.add_argument_group("settings (each also an environment variable)")
    for setting in SETTINGS:
        if setting.flag is None:
            continue
        # Suppressed, so that a flag before the command is not undone by the command's own default.
        more: dict[str, Any] = {
            "dest": setting.field,
            "default": argparse.SUPPRESS,
            "help": f"{setting.meaning} [{setting.name}]",
        }
        if setting.is_switch:
            settings.add_argument(setting.flag, action="store_const", const="1", **more)
            more["help"] = argparse.SUPPRESS
            settings.add_argument(f"--no-{setting.flag[2:]}", action="store_const", const="0", **more)
        else:
            settings.add_argument(setting.flag, metavar="VALUE", **more)
    parser = argparse.ArgumentParser(
        prog="ollamaspace",
        description="A private chat and gateway for Ollama.",
        parents=[common],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ollamaspace {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, parents=[common], allow_abbrev=False)
        if name == "pull":
            command.add_argument("what", metavar="MODEL")
    return parser


def _dotenv() -> dict[str, str]:
    """Raises SettingsError for a file that is there and cannot be read."""
    try:
        return parse_dotenv(Path(".env").read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError):  # some call the folder of their virtual environment so
        return {}
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError([f".env in the current folder cannot be read: {why}; mend or remove it"]) from error
