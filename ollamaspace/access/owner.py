"""The owner's key: the configured one, else the one kept in the data folder, else a new one."""

from __future__ import annotations

from dataclasses import dataclass, field

from ollamaspace.access.keys import generate_key, weakness
from ollamaspace.errors import SettingsError
from ollamaspace.store.data_folder import DataFolder


@dataclass(frozen=True, slots=True)
class OwnerKey:
    text: str = field(repr=False)
    generated: bool
    """Only a generated key may be shown; a given one is known to whoever gave it."""


def owner_key(configured: str | None, folder: DataFolder) -> OwnerKey:
    """Raises SettingsError for a weak key, DataFolderError if a new one cannot be kept."""
    if configured is not None:
        if (why := weakness(configured)) is not None:
            raise SettingsError([f"OLLAMA_API_KEY: {why}"])
        return OwnerKey(configured, generated=False)
    kept = folder.read_key()
    if kept is None or weakness(kept) is not None:
        kept = generate_key()
        folder.keep_key(kept)
    return OwnerKey(kept, generated=True)
