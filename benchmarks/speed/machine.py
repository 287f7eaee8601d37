"""What is measured on, and whether it is idle. Linux only: it reads /proc."""

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("fedtiny", "torch", "numpy", "flwr", "simpy")


def idle_share(seconds: float = 2.0) -> float:
    """The share of all cores' time that nobody used during these seconds."""
    before = _jiffies()
    time.sleep(seconds)
    spent = [after - then for after, then in zip(_jiffies(), before, strict=True)]
    return spent[3] / sum(spent)


def _jiffies() -> list[int]:
    line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    return [int(field) for field in line.split()[1:]]


def machine() -> dict[str, str]:
    """Processor, cores, memory and versions, as text."""
    processor = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    facts = {"processor": processor, "cores": str(os.cpu_count()), "memory": f"{memory / 1e6:.0f} GB", "python": platform.python_version()}
    return facts | {name: found for name in _PACKAGES if (found := installed(name))}


def installed(package: str) -> str | None:
    """The version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()
