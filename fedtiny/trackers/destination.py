"""Where a run is logged: the words of `--log`, and what a run is called there."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, cast

from fedtiny.errors import InputError

Kind = Literal["tensorboard", "mlflow"]

_KINDS: Final = ("tensorboard", "mlflow")
_TRACKING_URI: Final = "MLFLOW_TRACKING_URI"
_LONGEST_NAME: Final = 120


@dataclass(frozen=True)
class Destination:
    """A program and where it keeps its runs: of TensorBoard a folder, of MLflow the address of its tracking store."""

    kind: Kind
    place: str


@dataclass(frozen=True)
class Logged:
    """Where a run is logged; the experiment it belongs to (its scenario's or sweep's name), and what it is called in it."""

    destinations: tuple[Destination, ...]
    experiment: str
    run: str


def destinations(words: Sequence[str], beside: Path) -> tuple[Destination, ...]:
    """What `--log` says: `tensorboard`, `mlflow`, or one of them with `=` and a folder, for MLflow also an address such as http://host:5000.

    Without a folder: `tensorboard` and `mlflow` in the folder `beside`; MLflow heeds MLFLOW_TRACKING_URI before. Raises InputError for
    other words and where the program's package is not installed.
    """
    return tuple(dict.fromkeys(_destination(word, beside) for word in words))


def _destination(word: str, beside: Path) -> Destination:
    kind, is_placed, place = word.partition("=")
    if kind not in _KINDS or (is_placed and not place):
        raise InputError(
            f"--log {word}: choose tensorboard or mlflow, each alone or with a folder, such as --log tensorboard=runs/tensorboard"
        )
    if find_spec(kind) is None:
        raise InputError(f"--log {kind} needs {kind}, which is not installed: pip install 'fedtiny[{kind}]'")
    if kind == "tensorboard":
        return Destination("tensorboard", place or str(beside / "tensorboard"))
    address = place or os.environ.get(_TRACKING_URI, "")
    if "://" not in address:
        address = f"sqlite:///{Path(address or beside / 'mlflow').absolute() / 'mlflow.db'}"
    return Destination(cast(Kind, kind), address)


def file_name(name: str) -> str:
    """A name that every file system takes: letters, digits and `. , = + -`; anything else is `_`."""
    return re.sub(r"[^\w.,=+-]+", "_", name)[:_LONGEST_NAME]
