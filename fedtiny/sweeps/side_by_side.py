"""How many processes at a time get more done on this machine: measured, because what is called a processor may be half of one.

Two threads of a core share its arithmetic, a virtual machine does not say which of its processors do, and a quota or other people's work
takes its share. So processes are started that multiply matrices, as training does, all at once and for a moment: 1, 2, 4, ... of them.
The smallest number counts that comes within 5 % of the best.

This module imports nothing of FedTiny: see `local`. Run as a program it is one of these processes: for every line that it reads, it
multiplies for as many seconds as the line says and prints how often.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final

SECONDS: Final = 0.15
_ENOUGH: Final = 0.95
_SIZE: Final = 128
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def helpful_processes(most: int) -> int:
    """The number of processes, at most so many, above which this machine gets no more done."""
    return 1 if most <= 1 else fewest_that_are_best(throughputs(_counts(most)))


def throughputs(counts: Sequence[int], seconds: float = SECONDS) -> dict[int, float]:
    """Multiplications a second that so many processes do side by side, for each of these numbers of processes."""
    command = [sys.executable, "-m", "fedtiny.sweeps.side_by_side"]
    environment = os.environ | dict.fromkeys(_ONE_THREAD, "1")
    with ExitStack() as running:
        processes = [running.enter_context(_started(command, environment)) for _ in range(max(counts))]
        _ask(processes, 0.0)  # until all have begun
        return {count: sum(_ask(processes[:count], seconds)) / seconds for count in counts}


def fewest_that_are_best(measured: dict[int, float]) -> int:
    """The smallest number of processes that gets as much done as any, but for 5 %."""
    best = max(measured.values())
    return min(count for count, done in measured.items() if done >= _ENOUGH * best)


def _counts(most: int) -> list[int]:
    """1, 2, 4, ... and the last."""
    return [*(2**power for power in range(most.bit_length()) if 2**power < most), most]


def _started(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603  our own


def _ask(processes: Sequence["subprocess.Popen[str]"], seconds: float) -> list[int]:
    for process in processes:
        print(seconds, file=process.stdin, flush=True)
    return [int(process.stdout.readline() or 0) for process in processes if process.stdout is not None]


def _multiply() -> None:
    import numpy as np

    matrix = np.full((_SIZE, _SIZE), 0.5, dtype=np.float32)
    for line in sys.stdin:
        done, end = 0, time.monotonic() + float(line)
        while time.monotonic() < end:
            matrix @ matrix
            done += 1
        print(done, flush=True)  # noqa: T201


if __name__ == "__main__":
    _multiply()
