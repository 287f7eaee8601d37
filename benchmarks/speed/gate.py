"""Whose turn it is: every runner is a process of its own that works while it is told to, and waits else. Standard library only.

A runner calls `Gate.round_done()` after each round. The first `warm_up` rounds are not timed. Then, whenever `go` comes in on standard
input, the next `rounds` rounds are timed together and their seconds go out as one JSON line; in between, the process sleeps. So several
runners are measured in turns, in one run, and none of them computes while another is being timed.
"""

import json
import sys
import time
from typing import Any


class BenchmarkOver(BaseException):
    """Standard input has ended: no more rounds are wanted. Not an Exception, so that no framework takes it for a failed client."""


class Gate:
    """The rhythm of one runner."""

    def __init__(self, warm_up: int, rounds: int) -> None:
        self._left = warm_up
        self._rounds = rounds
        self._started: float | None = None

    def round_done(self) -> None:
        """Counts one more round. Raises BenchmarkOver when nobody wants another one."""
        self._left -= 1
        if self._left > 0:
            return
        if self._started is None:
            say(ready=True)
        else:
            say(seconds=(time.perf_counter() - self._started) / self._rounds)
        if sys.stdin.readline().strip() != "go":
            raise BenchmarkOver
        self._left = self._rounds
        self._started = time.perf_counter()


def say(**facts: Any) -> None:
    """One JSON line on standard output."""
    print(json.dumps(facts), flush=True)
