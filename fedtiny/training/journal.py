"""The journal: finished work, found again by what it was made from.

An entry's key is a SHA-256 over everything that determines the work; its file holds the results and nothing that is run when it is
read (safetensors). So the same work is done once, whoever asks again: another cell of a sweep whose timing alone is different, or a
run that starts anew after it was interrupted.

Several processes may use one folder. Entries are written into a temporary file that then takes its name, so a reader finds a whole
entry or none; an entry whose checksum is wrong is deleted, with a warning, and the work is done again.

The folder has a bound in bytes. What no run has used since this journal was opened goes first, the least recently used of it before
the rest. What this run itself used stays, and a journal full of that takes nothing more: runs read a journal from its start to its end,
and dropping the oldest entry for the newest would leave every one of them without its beginning.
"""

import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as tensors

from fedtiny.errors import FolderError

DEFAULT_BYTES: Final = 4_000_000_000
"""The bound of a journal that is given none."""
_CHECKSUM: Final = "sha256"
_PART: Final = ".part"
_OURS: Final = re.compile(r"[0-9a-f]{64}\.safetensors|journal-\w+\.part")
_SCAN_EVERY: Final = 64


@dataclass
class Journal:
    """A folder of finished work, made if it is not there. Raises FolderError where it cannot be."""

    folder: Path
    most_bytes: int = DEFAULT_BYTES
    _opened: float = field(default=0.0, init=False)
    _held: int = field(default=0, init=False)
    _writes: int = field(default=0, init=False)
    _is_full: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._opened = self._time_of_the_folder()
        except OSError as error:
            raise FolderError(f"{self.folder} cannot hold a journal ({error.strerror}): name another folder") from error

    def read(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays of an entry, by name, which are the caller's own; None where there is none that is whole."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        arrays = _checked(key, content)
        try:
            if arrays is None:
                warnings.warn(f"{path} is damaged: it is deleted, and its work is done again", stacklevel=2)
                path.unlink()
            else:
                os.utime(path)
        except FileNotFoundError:  # another process dropped it meanwhile
            pass
        return arrays

    def write(self, key: str, arrays: Mapping[str, np.ndarray]) -> bool:
        """Keeps an entry, whole or not at all; whether there was room for it."""
        content = tensors.save({**arrays, _CHECKSUM: np.frombuffer(_checksum(key, arrays), dtype=np.uint8)})
        if not self._has_room(len(content)):
            return False
        handle, name = tempfile.mkstemp(dir=self.folder, prefix="journal-", suffix=_PART)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(self._path(key))
        finally:
            Path(name).unlink(missing_ok=True)
        return True

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _time_of_the_folder(self) -> float:
        """Now, by the clock that stamps this folder's files."""
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix="journal-", suffix=_PART) as probe:
            return Path(probe.name).stat().st_mtime

    def _has_room(self, size: int) -> bool:
        if self._is_full:
            return False
        if self._writes % _SCAN_EVERY == 0 or self._held + size > self.most_bytes:
            self._held = self._drop_unused(size)
        self._writes += 1
        self._held += size
        if self._held > self.most_bytes:
            self._is_full = True
            warnings.warn(
                f"the journal {self.folder} is full ({self.most_bytes} bytes): what comes now is trained again by whoever needs it; "
                "a larger bound helps",
                stacklevel=3,
            )
        return not self._is_full

    def _drop_unused(self, size: int) -> int:
        """Makes room for so many bytes as far as that is possible; the bytes that are held then."""
        entries = sorted(self._entries())
        held = sum(bytes_ for _, bytes_, _ in entries)
        for used, bytes_, path in entries:
            if held + size <= self.most_bytes or used >= self._opened:
                break
            path.unlink(missing_ok=True)
            held -= bytes_
        return held

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Time of last use, bytes and path of every file that a journal wrote, what a killed process left among them."""
        for path in self.folder.iterdir():
            if _OURS.fullmatch(path.name):
                try:
                    found = path.stat()
                except FileNotFoundError:
                    continue
                yield found.st_mtime, found.st_size, path


def key_of(*parts: bytes | str | int | float | bool | None) -> str:
    """A key, 64 hexadecimal digits, that depends on every part, its type and its place; floats count bit by bit."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else (part.hex() if isinstance(part, float) else str(part)).encode()
        digest.update(f"{type(part).__name__}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def digest_of(array: np.ndarray) -> bytes:
    """32 bytes that depend on an array's element type, shape and every bit."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.digest()


def _checksum(key: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    return bytes.fromhex(key_of(key, *(part for name in sorted(arrays) for part in (name, digest_of(arrays[name])))))


def _checked(key: str, content: bytes) -> dict[str, np.ndarray] | None:
    """An entry's arrays, or None where they are not what was written under this key."""
    try:
        arrays = tensors.load(content)
        found = arrays.pop(_CHECKSUM).tobytes()
    except (SafetensorError, KeyError, ValueError, TypeError):
        return None
    return arrays if found == _checksum(key, arrays) else None
