"""The command line: one file a command, and the only place that reads the process environment."""

from ollamaspace.cli.main import main

__all__ = ["main"]
