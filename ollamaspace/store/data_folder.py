"""The data folder: private to its user, created when first needed.

A folder that was named by a setting must work. The platform's own may not (no home, a read-only disk): then a
temporary one serves, and what is in it may be gone after a restart.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ollamaspace.errors import DataFolderError


@dataclass(frozen=True, slots=True)
class DataFolder:
    path: Path
    lasting: bool
    """False for a temporary folder."""

    @property
    def key_file(self) -> Path:
        return self.path / "key"

    @property
    def models(self) -> Path:
        return self.path / "models"

    def read_key(self) -> str | None:
        """The kept key. Raises DataFolderError if there is one that cannot be read."""
        try:
            return self.key_file.read_text("ascii").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DataFolderError(f"The key file {self.key_file} cannot be read: {error}.") from error

    def keep_key(self, key: str) -> None:
        """Readable by this user alone from its first byte on, and whole or not there at all."""
        temporary: str | None = None
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=".key.", dir=self.path)  # made with 0600
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(key + "\n")
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, self.key_file)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            raise DataFolderError(f"The key cannot be kept in {self.path}: {error.strerror}.") from error


def platform_folder(environ: Mapping[str, str]) -> Path | None:
    """Where the platform keeps data of programs; None without a home."""
    if (given := environ.get("XDG_DATA_HOME", "")) and os.path.isabs(given):
        return Path(given) / "ollamaspace"
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        return None
    if sys.platform == "darwin":
        return Path(home) / "Library" / "Application Support" / "OllamaSpace"
    return Path(home) / ".local" / "share" / "ollamaspace"


def prepare(given: Path | None, environ: Mapping[str, str]) -> DataFolder:
    """A folder that exists and can be written. Raises DataFolderError."""
    if given is not None:
        return DataFolder(_made(given.absolute()), lasting=True)
    usual = platform_folder(environ)
    if usual is not None:
        try:
            return DataFolder(_made(usual), lasting=True)
        except DataFolderError:
            pass  # a read-only home is no reason not to serve
    return DataFolder(_made(_temporary(), ours=True), lasting=False)


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir()) / f"ollamaspace-{os.getuid()}"
    except OSError as error:
        raise _unusable(Path("/tmp"), "there is no temporary folder either") from error  # noqa: S108 - only named


def _made(path: Path, ours: bool = False) -> Path:
    """`ours`: in a place where anybody may create folders, one of somebody else's is not to be trusted."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(path, "it cannot be written")
    if ours and (not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077):
        raise _unusable(path, "others made it or may look into it")
    return path


def _unusable(path: Path, why: str) -> DataFolderError:
    return DataFolderError(
        f"The data folder {path} cannot be used: {why}. Set OLLAMASPACE_DATA_DIR to a folder that can be written."
    )
