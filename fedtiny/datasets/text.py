"""Your own text: predict the character that follows a sequence of characters; a file is a source, such as one speaker or author.

An example is `sequence_length` characters and, as its class, the character after them; the next example begins `stride` characters
later. The first part of every file is trained on, its last `test_share` is tested on, and no example lies in both, so nothing that
is tested was read in training. `client_train` is the number of the file, for a partition of kind natural.

    example i of a part c_0 c_1 ...:    inputs = c_{i stride}, ..., c_{i stride + sequence_length - 1}    target = the next one

A character is its index in the alphabet; all characters that are not in it share the index after its last. Indices travel as
floating-point numbers, as all inputs do, exact in float32 up to 2^24. Files are UTF-8; line ends become "\\n".

Citation: next-character prediction on one file per speaking role is the task of LEAF's Shakespeare (Caldas et al.: LEAF: A Benchmark
for Federated Settings. arXiv 1812.01097, 2018), which has sequences of 80 characters, stride 1, and also tests on the end of a text.
"""

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field, field_validator

from fedtiny.datasets.base import Data, Dataset, DatasetFacts, Examples, prepare
from fedtiny.datasets.npz import file_digest
from fedtiny.datasets.partition_family import Count
from fedtiny.errors import DataError
from fedtiny.randomness import Streams

_MOST_BYTES: Final = 2**26
_MOST_NUMBERS: Final = 2**27
_MOST_CHARACTERS: Final = 1024

Codes = NDArray[np.uint32]
"""A text as the code points of its characters, `(characters,)`."""


class Text(Data):
    """Your own text files, one for each source; an example is a sequence of characters, its class the character that follows."""

    kind: Literal["text"] = "text"
    path: str
    """A file, a folder (its files *.txt) or a pattern such as corpus/*.txt; a relative path counts from the scenario's file."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of the file; of several files, that of what sha256sum prints of them. Where it is given, other files are refused."""
    sequence_length: Annotated[int, Field(gt=0, le=4096)] = 40
    """Characters of an example."""
    stride: Count = 1
    """Characters from the beginning of an example to that of the next."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The share of every file, at its end, that is tested on."""
    alphabet: Annotated[str, Field(min_length=1, max_length=_MOST_CHARACTERS)] | None = None
    """The characters that are told apart, in the order of their indices; left out: those of the files, sorted (of more than 1024 the
    most frequent)."""

    @field_validator("alphabet")
    @classmethod
    def _no_character_twice(cls, alphabet: str | None) -> str | None:
        twice = sorted(character for character, times in Counter(alphabet or "").items() if times > 1)
        if twice:
            raise ValueError(f"the alphabet has {twice[0]!r} twice: name every character once")
        return alphabet

    def facts(self) -> DatasetFacts:
        """The length of a sequence, and as many classes as the alphabet has characters and one more; the files are read."""
        return self._facts(_alphabet(self, [codes for _, codes in _sources(self.path)]))

    def load(self, streams: Streams) -> Dataset:
        """Sequences `(examples, sequence_length)` of indices in float32, and the index that follows each."""
        if self.sha256 is not None and (found := corpus_digest(self.path)) != self.sha256:
            raise DataError(f"{self.path} has SHA-256 {found}, but the scenario says {self.sha256}: it is not the same text")
        sources = _sources(self.path)
        alphabet = _alphabet(self, [codes for _, codes in sources])
        parts = [_split(self, file, _indices(codes, alphabet)) for file, codes in sources]
        self._check_size(sum(len(windows) for part in parts for windows in part))
        train, test = (_examples([part[which] for part in parts]) for which in (0, 1))
        owners = np.repeat(np.arange(len(parts)), [len(training) for training, _ in parts])
        names = ", ".join(file.name for file, _ in sources)
        return prepare(self, self._facts(alphabet), train, test, streams, f"Text given by the user: {names}.", owners)

    def _facts(self, alphabet: Codes) -> DatasetFacts:
        path = Path(self.path)
        name = path.name if path.is_dir() else path.stem if path.is_file() else path.parent.name
        return DatasetFacts(name, (self.sequence_length,), classes=len(alphabet) + 1, native_resolution=1, characters=True)

    def _check_size(self, examples: int) -> None:
        if examples * self.sequence_length > _MOST_NUMBERS:
            raise DataError(
                f"{examples} examples of {self.sequence_length} characters are more than {_MOST_NUMBERS} numbers: raise stride "
                f"(now {self.stride}), or name fewer files"
            )


def corpus_files(path: str | Path) -> list[Path]:
    """The files that a path names, sorted: itself, the *.txt of a folder, or those that match a pattern; none if there are none."""
    path = Path(path)
    if path.is_file():
        return [path]
    found = path.glob("*.txt") if path.is_dir() else Path(path.anchor).glob(str(path.relative_to(path.anchor)))
    return sorted(file for file in found if file.is_file())


def corpus_digest(path: str | Path) -> str:
    """The SHA-256 of a file; of several, that of lines `<SHA-256>  <name>`, as `sha256sum *.txt | sha256sum` says in their folder.

    Names count from the folder that holds all of them. Raises DataError where there are no files or one cannot be read.
    """
    files = _found(path)
    if Path(path).is_file():
        return file_digest(path)
    folder = os.path.commonpath([file.parent for file in files])
    lines = "".join(f"{file_digest(file)}  {file.relative_to(folder).as_posix()}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _found(path: str | Path) -> list[Path]:
    files = corpus_files(path)
    if not files:
        raise DataError(
            f"there is no text at {path}: name a file, a folder with files *.txt, or a pattern such as corpus/*.txt; "
            "a relative path counts from the scenario's folder"
        )
    return files


def _sources(path: str) -> list[tuple[Path, Codes]]:
    files = _found(path)
    try:
        size = sum(file.stat().st_size for file in files)
        if size > _MOST_BYTES:
            raise DataError(f"the files of {path} have {size} bytes together, allowed are {_MOST_BYTES}: name fewer or smaller ones")
        return [(file, _codes(file)) for file in files]
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror or error}") from error


def _codes(file: Path) -> Codes:
    content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not text in UTF-8: byte {content[error.start]:#04x} at offset {error.start} ({error.reason}): convert it to UTF-8"
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _alphabet(text: Text, sources: list[Codes]) -> Codes:
    """The code points of the alphabet, in the order of their indices."""
    if text.alphabet is not None:
        return np.array([ord(character) for character in text.alphabet], np.uint32)
    found, times = np.unique(np.concatenate(sources), return_counts=True)
    # stable: of characters that are equally frequent, those with the lower code points
    return np.sort(found[np.argsort(-times, kind="stable")[:_MOST_CHARACTERS]])


def _indices(codes: Codes, alphabet: Codes) -> NDArray[np.float32]:
    order = np.argsort(alphabet)
    nearest = np.minimum(np.searchsorted(alphabet, codes, sorter=order), len(alphabet) - 1)
    index = order[nearest]
    return np.where(alphabet[index] == codes, index, len(alphabet)).astype(np.float32)


def _split(text: Text, file: Path, indices: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The examples to train and to test on, each `(examples, sequence_length + 1)`, as views of the text."""
    cut = round(len(indices) * (1 - text.test_share))
    parts = indices[:cut], indices[cut:]
    if min(map(len, parts)) <= text.sequence_length:
        raise DataError(
            f"{file} has {cut} characters to train and {len(indices) - cut} to test on, but an example takes {text.sequence_length + 1}: "
            "lower sequence_length, change test_share, or leave the file out"
        )
    train, test = (sliding_window_view(part, text.sequence_length + 1)[:: text.stride] for part in parts)
    return train, test


def _examples(windows: list[NDArray[np.float32]]) -> Examples:
    """Inputs and targets; only here are the examples' characters copied."""
    inputs = np.concatenate([part[:, :-1] for part in windows])
    return Examples(inputs, np.concatenate([part[:, -1] for part in windows]).astype(np.int64))
