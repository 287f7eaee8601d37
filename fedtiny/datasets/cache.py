"""The folder in which FedTiny keeps what it would otherwise fetch or compute again."""

import os
import sys
from pathlib import Path
from typing import Final

VARIABLE: Final = "FEDTINY_CACHE"


def cache_folder() -> Path:
    """The folder that the environment variable FEDTINY_CACHE names, else the platform's own place for caches.

    It may be deleted at any time and need not exist yet.
    """
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else _platform_folder()


def _platform_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fedtiny"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "fedtiny" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fedtiny"
