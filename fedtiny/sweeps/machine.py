"""What of this machine a sweep may use: processors, memory, and what processes hold of it.

A container often sees all processors and all memory of its host, and may use less: Linux says how much less in its control groups
(docs.kernel.org, admin-guide/cgroup-v2 and cgroup-v1: cpu.max, memory.max, and their older names). Where the system says nothing, nothing
is assumed.

This module imports nothing of FedTiny: see `local`.
"""

import os
import resource
import sys
from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/")
_KIB: Final = 1024
# of version 1, what stands for "no limit" is the largest multiple of a page below 2**63
_NO_LIMIT: Final = 2**60


def usable_processors(root: Path = _ROOT) -> int:
    """How many processors this process may keep busy: those that it may run on, no more than its control groups pay for, at least one."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([processors, *(ceil(quota) for quota in _quotas(root))]))


def free_memory(root: Path = _ROOT) -> int | None:
    """Bytes that can be had without swapping, no more than control groups leave; None where the system does not say."""
    available = _field(root / "proc/meminfo", "MemAvailable:")
    left = [] if available is None else [_KIB * available]
    for folder in _groups(root, "memory"):
        for most, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            limit, usage = _number(folder / most), _number(folder / used)
            if limit is not None and usage is not None and limit < _NO_LIMIT:
                # files that were read and can be forgotten
                left.append(limit - usage + (_field(folder / "memory.stat", "inactive_file") or 0))
    return max(0, min(left)) if left else None


def peak_memory(root: Path = _ROOT) -> int:
    """The most bytes that this process has held in memory since it began its program."""
    high = _field(root / "proc/self/status", "VmHWM:")
    if high is not None:
        return _KIB * high
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else _KIB * most


def held_memory(processes: Iterable[int], root: Path = _ROOT) -> int:
    """Bytes that these processes hold in memory now; none for one that has ended, or where the system does not say."""
    return sum(_KIB * (_field(root / f"proc/{number}/status", "VmRSS:") or 0) for number in processes)


def _quotas(root: Path) -> Iterator[float]:
    """Processors' worth of time that each control group of this process may have."""
    for folder in _groups(root, "cpu"):
        words = _text(folder / "cpu.max").split()
        if len(words) == 2 and words[0].isdecimal() and int(words[1]):
            yield int(words[0]) / int(words[1])
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota is not None and period:
            yield quota / period


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control groups and of those that they lie in, of either version. In a container, whose root may be a
    group of its host, only what is mounted there exists."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            mounted = root / "sys/fs/cgroup" / (controller if controllers else "")
            inner = mounted / path.lstrip("/")
            yield from (folder for folder in (inner, *inner.parents) if folder == mounted or mounted in folder.parents)


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else None


def _field(file: Path, name: str) -> int | None:
    words = [line.split() for line in _text(file).splitlines()]
    return next((int(line[1]) for line in words if line and line[0] == name), None)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
