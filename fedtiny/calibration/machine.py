"""What this machine is: its processor, its memory, and the software that trains on it."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

_MEMORY: Final = Path("/proc/meminfo")
_PROCESSOR: Final = Path("/proc/cpuinfo")
_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_KIB: Final = 1024


@dataclass(frozen=True)
class Machine:
    """This machine, as it is found."""

    processor: str
    cores: int
    """Those that this process may use."""
    memory: int
    """Bytes that training may use: what is free for a new process, but no more than a container's limit."""
    memory_from: str
    """Where that was read."""
    software: str
    threads: int
    """Threads that torch computes with while it is measured."""


def this_machine(threads: int) -> Machine:
    """What the operating system says of this machine, training with so many threads."""
    memory, source = _memory()
    software = f"torch {torch.__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return Machine(_processor(), _cores(), memory, source, software, threads)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    for line in _lines(_PROCESSOR):
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return platform.processor() or platform.machine()


def _memory() -> tuple[int, str]:
    found = [(int(line.split()[1]) * _KIB, f"MemAvailable of {_MEMORY}") for line in _lines(_MEMORY) if line.startswith("MemAvailable:")]
    if not found:
        found = [(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "all of the physical memory, by sysconf")]
    for file in _LIMITS:
        text = "".join(_lines(file)).strip()
        if text.isdigit():
            found.append((int(text), f"the limit in {file}"))
    return min(found)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
