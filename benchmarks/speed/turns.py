"""Several runners of one workload, measured in turns."""

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SECONDS_TO_BE_READY = 300.0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class RunnerError(Exception):
    """A runner has ended without being asked to."""


class Runner:
    """One process that times rounds when it is told to (gate.py)."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.seconds: list[float] = []
        self.facts: dict[str, Any] = {}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in close)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=os.environ | _ONE_THREAD
        )

    def wait_until_ready(self) -> None:
        """Returns when it has warmed up. Raises RunnerError where that takes more than five minutes."""
        alarm = threading.Timer(_SECONDS_TO_BE_READY, self._process.kill)
        alarm.start()
        try:
            self._read("ready")
        finally:
            alarm.cancel()

    def block(self) -> None:
        """Times one block of rounds."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self.seconds.append(self._read("seconds"))

    def close(self) -> None:
        """Ends the process, and reads what it says at the end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        while (facts := self._next()) is not None:
            self.facts.update(facts)
        self._process.wait()
        self._errors.close()

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.wait()

    def _read(self, key: str) -> Any:
        while (facts := self._next()) is not None:
            if key in facts:
                return facts[key]
            self.facts.update(facts)
        self._errors.seek(0)
        raise RunnerError(f"{self.name} ended early, or was not ready after {_SECONDS_TO_BE_READY:.0f} s:\n{self._errors.read()[-2000:]}")

    def _next(self) -> dict[str, Any] | None:
        """The next JSON line; whatever else a framework prints is skipped."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        return None


def in_turns(commands: Mapping[str, Sequence[str]], blocks: int) -> dict[str, Runner]:
    """Every runner's seconds per round: `blocks` blocks each, one runner after the other, again and again.

    All processes start one after another, warm up, and then only the one whose turn it is computes. Raises RunnerError.
    """
    runners: dict[str, Runner] = {}
    try:
        for name, command in commands.items():
            runners[name] = Runner(name, command)
            runners[name].wait_until_ready()
        for _ in range(blocks):
            for runner in runners.values():
                runner.block()
        for runner in runners.values():
            runner.close()
    except BaseException:
        for runner in runners.values():
            runner.kill()
        raise
    return runners


def script(name: str) -> str:
    """The path of a script in this folder or, where it is not here, in the one above."""
    here = Path(__file__).parent
    return str(here / name if (here / name).exists() else here.parent / name)
