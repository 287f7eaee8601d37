"""Your own examples, from a NumPy archive: arrays x_train, y_train, x_test, y_test and, optionally, client_train.

Arrays are taken as they are, nothing is scaled: inputs in float32 or float64, of any shape after the first axis
(`(channels, height, width)` for the networks that FedTiny brings); targets whole numbers 0, 1, ... (classes), or
floating-point numbers, `(examples,)` or `(examples, numbers)`, for a network with a loss of its own; client_train a
whole number per training example, whose it is (for a partition of kind natural). Nothing is unpickled.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Final, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import Field

from fedtiny.datasets.base import Data, Dataset, DatasetFacts, Examples, prepare
from fedtiny.datasets.images import shape_after
from fedtiny.errors import DataError
from fedtiny.randomness import Streams

_REQUIRED: Final = ("x_train", "y_train", "x_test", "y_test")
_CLIENTS: Final = "client_train"
_MOST_CLASSES: Final = 100_000
_HEADER_READERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class _Header:
    """Name, shape and type of an array, without its values."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def whole(self) -> bool:
        return np.issubdtype(self.dtype, np.integer)


class Npz(Data):
    """Your own examples, from an .npz file with x_train, y_train, x_test, y_test and, optionally, client_train."""

    kind: Literal["npz"] = "npz"
    path: str
    """The file; a relative path counts from the scenario's file."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The file's SHA-256; where it is given, another file is refused."""

    def facts(self) -> DatasetFacts:
        """Shape, classes and types, from the headers of the arrays and the values of the targets; no inputs are read."""
        with _opened(self.path) as archive:
            headers = {name: _header(archive, name) for name in _REQUIRED}
            if f"{_CLIENTS}.npy" in archive.namelist():
                headers[_CLIENTS] = _header(archive, _CLIENTS)
            _check(headers)
            targets = [_array(archive, name) for name in ("y_train", "y_test")]
        shape, categorical = headers["x_train"].shape, headers["y_train"].whole
        return DatasetFacts(
            name=Path(self.path).stem,
            input_shape=shape_after(shape[1:], self.image_size, self.channels),
            classes=_number_of_classes(targets) if categorical else _numbers_per_example(targets),
            native_resolution=min(shape[2:]) if len(shape) == 4 else 1,
            categorical=categorical,
        )

    def load(self, streams: Streams) -> Dataset:
        """The arrays as they are, checked. Raises DataError with what is wrong and what is allowed."""
        if self.sha256 is not None and (found := file_digest(self.path)) != self.sha256:
            raise DataError(f"{self.path} has SHA-256 {found}, but the scenario says {self.sha256}: it is not the same file")
        facts = self.facts()
        with _opened(self.path) as archive:
            train, test = (_examples(archive, part, categorical=facts.categorical) for part in ("train", "test"))
            clients = _array(archive, _CLIENTS).astype(np.int64) if f"{_CLIENTS}.npy" in archive.namelist() else None
        return prepare(self, facts, train, test, streams, f"The file {Path(self.path).name}, given by the user.", clients)


def file_digest(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits. Raises DataError where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def _opened(path: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{path} is not a whole .npz file ({error}): write it with numpy.savez(path, x_train=..., y_train=..., ...)"
        ) from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zlib.error, MemoryError) as error:
        raise DataError(f"{path} holds an array that cannot be read ({error}): allowed are arrays of numbers, no objects") from error


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    present = [member.removesuffix(".npy") for member in archive.namelist()]
    if name not in present:
        raise DataError(
            f"{archive.filename} has no array {name}, only {', '.join(sorted(present)) or 'nothing'}; needed are {', '.join(_REQUIRED)}"
        )
    with archive.open(f"{name}.npy") as file:
        yield file


def _header(archive: zipfile.ZipFile, name: str) -> _Header:
    with _member(archive, name) as file:
        version = npy.read_magic(file)
        if version not in _HEADER_READERS:
            raise DataError(
                f"{name} in {archive.filename} is of .npy version {version}: allowed are arrays of numbers (versions 1.0 and 2.0)"
            )
        shape, _, dtype = _HEADER_READERS[version](file)
    return _Header(name, shape, dtype)


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with _member(archive, name) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))


def _examples(archive: zipfile.ZipFile, part: str, *, categorical: bool) -> Examples:
    inputs, targets = _array(archive, f"x_{part}"), _array(archive, f"y_{part}")
    if not np.isfinite(inputs).all():
        raise DataError(f"x_{part} holds values that are not finite (nan or infinity): remove or replace them")
    return Examples(inputs, targets.astype(np.int64) if categorical else targets)


def _check(headers: dict[str, _Header]) -> None:
    """Raises DataError where types and shapes do not go together."""
    for part in ("train", "test"):
        _check_inputs(headers[f"x_{part}"])
        _check_targets(headers[f"y_{part}"], headers[f"x_{part}"].shape[0])
    for name in ("x", "y"):
        _check_alike(headers[f"{name}_train"], headers[f"{name}_test"])
    clients = headers.get(_CLIENTS)
    examples = headers["x_train"].shape[0]
    if clients is not None and not (clients.whole and clients.shape == (examples,)):
        raise DataError(
            f"client_train is of type {clients.dtype} and shape {clients.shape}: "
            f"allowed is one whole number for each of the {examples} training examples"
        )


def _check_inputs(inputs: _Header) -> None:
    if inputs.dtype not in (np.float32, np.float64):
        raise DataError(f"{inputs.name} is of type {inputs.dtype}, allowed are float32 and float64: scale it as you want it and convert it")
    if len(inputs.shape) < 2 or 0 in inputs.shape:
        raise DataError(
            f"{inputs.name} has shape {inputs.shape}: it needs at least one example, and an axis after the first, (examples, ...)"
        )


def _check_targets(targets: _Header, examples: int) -> None:
    if not (targets.whole or targets.dtype in (np.float32, np.float64)):
        raise DataError(f"{targets.name} is of type {targets.dtype}: allowed are whole numbers (classes), float32 and float64")
    if not 1 <= len(targets.shape) <= (1 if targets.whole else 2) or 0 in targets.shape:
        raise DataError(
            f"{targets.name} has shape {targets.shape}: allowed are (examples,) and, for floating-point numbers, (examples, numbers)"
        )
    if targets.shape[0] != examples:
        raise DataError(f"{targets.name} has {targets.shape[0]} targets for {examples} examples: give one each")


def _check_alike(train: _Header, test: _Header) -> None:
    if train.shape[1:] != test.shape[1:]:
        raise DataError(f"an example has shape {train.shape[1:]} in {train.name}, but {test.shape[1:]} in {test.name}: make them the same")
    if train.dtype != test.dtype and not (train.whole and test.whole):
        raise DataError(f"{train.name} is of type {train.dtype}, but {test.name} of {test.dtype}: make them the same")


def _number_of_classes(targets: list[NDArray[Any]]) -> int:
    lowest, highest = (int(extreme) for extreme in (min(array.min() for array in targets), max(array.max() for array in targets)))
    if lowest < 0 or highest >= _MOST_CLASSES:
        raise DataError(f"classes are whole numbers from 0 to {_MOST_CLASSES - 1}, found {lowest if lowest < 0 else highest}")
    return highest + 1


def _numbers_per_example(targets: list[NDArray[Any]]) -> int:
    if not all(np.isfinite(array).all() for array in targets):
        raise DataError("y_train or y_test holds values that are not finite (nan or infinity): remove or replace them")
    return 1 if targets[0].ndim == 1 else targets[0].shape[1]
