"""What a trainer keeps on its disk: every finished round with the state behind it, and every average that has come.

Each is one file, whole or not there; numpy's own format without pickles. A trainer that is started again goes on after the last finished
round, and answers what it has answered before with the same bytes.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from flwr.app import ConfigRecord, RecordDict

_BYTES = "bytes:"
_OLD = 100


@dataclass(frozen=True)
class FinishedRound:
    """A round's answer (its sum may be None) and what the client keeps behind it."""

    metrics: dict[str, int | float]
    sum: np.ndarray | None
    state: RecordDict


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    folder: Path

    @classmethod
    def of(cls, folder: Path, run: str) -> "RunFolder":
        """The folder of a run: what other runs have left there is deleted."""
        own = folder / f"run-{run}"
        own.mkdir(parents=True, exist_ok=True)
        for other in folder.glob("run-*"):
            if other != own:
                shutil.rmtree(other)
        for half in own.glob("*.part"):
            half.unlink()
        return cls(own)

    def rounds(self) -> list[int]:
        """The finished rounds that are kept, ascending."""
        return sorted(int(path.stem.partition("-")[2]) for path in self.folder.glob("round-*.npz"))

    def write_round(self, number: int, finished: FinishedRound) -> None:
        """Keeps a round, and forgets the one that is a hundred rounds older."""
        numbers: dict[str, dict[str, Any]] = {}
        arrays: dict[str, np.ndarray] = {} if finished.sum is None else {"sum": finished.sum}
        for name, record in finished.state.items():
            for key, value in record.items():
                if isinstance(value, bytes):
                    arrays[f"{_BYTES}{name}:{key}"] = np.frombuffer(value, dtype=np.uint8)
                else:
                    numbers.setdefault(name, {})[key] = value
        said = json.dumps({"metrics": finished.metrics, "state": numbers}).encode()
        self._write(f"round-{number:06}.npz", {**arrays, "said": np.frombuffer(said, dtype=np.uint8)})
        (self.folder / f"round-{number - _OLD:06}.npz").unlink(missing_ok=True)

    def read_round(self, number: int) -> FinishedRound | None:
        """A finished round, None where it is not kept."""
        path = self.folder / f"round-{number:06}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as file:
            said = json.loads(file["said"].tobytes())
            values: dict[str, dict[str, Any]] = said["state"]
            for key in file.files:
                if key.startswith(_BYTES):
                    name, _, field = key.removeprefix(_BYTES).partition(":")
                    values.setdefault(name, {})[field] = file[key].tobytes()
            total = file["sum"] if "sum" in file.files else None
        return FinishedRound(said["metrics"], total, RecordDict({name: ConfigRecord(record) for name, record in values.items()}))

    def write_array(self, name: str, array: np.ndarray) -> None:
        """Keeps an average or a model under a name."""
        self._write(f"{name}.npz", {"array": array})

    def read_array(self, name: str) -> np.ndarray | None:
        """What was kept under a name."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as file:
            array: np.ndarray = file["array"]
            return array

    def forget_array(self, name: str) -> None:
        """Deletes what was kept under a name."""
        (self.folder / f"{name}.npz").unlink(missing_ok=True)

    def _write(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        part = self.folder / f"{name}.part"
        with part.open("wb") as file:
            np.savez(file, **cast(dict[str, Any], arrays))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.folder / name)
