"""Settings: one table makes flags, environment names, README rows and the output of `config`.

Nothing here reads the process environment; the command line passes mappings in.
"""

from ollamaspace.config.settings import Loaded, Origin, Settings, load
from ollamaspace.config.table import SETTINGS, Setting
from ollamaspace.config.values import EngineAddress

__all__ = ["SETTINGS", "EngineAddress", "Loaded", "Origin", "Setting", "Settings", "load"]
