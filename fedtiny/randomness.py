"""Random streams named by a path, from one seed.

A stream is a pure function of (seed, path): ``streams.numpy("group", 0, "device", 7, "batches", 3)`` gives the same
numbers whatever else was drawn before, so adding a device changes no other device, and two strategies that ask for
the same names see the same world (common random numbers).

The path is hashed with SHA-256 over an unambiguous text (each element with its type and length), and the digest
seeds NumPy's PCG64 through a SeedSequence.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

_TORCH_SEED_BITS = 63
_NO_HIGH_WORD = bytes(4)


@dataclass(frozen=True)
class Streams:
    """All random streams of one seed."""

    seed: int

    def digest(self, *path: str | int) -> bytes:
        """32 bytes that depend on the seed and every element of the path, and on nothing else."""
        elements = [f"{type(element).__name__}:{len(str(element))}:{element}" for element in (self.seed, *path)]
        return hashlib.sha256("/".join(elements).encode()).digest()

    def numpy(self, *path: str | int) -> np.random.Generator:
        """A fresh NumPy generator for this path; asking twice gives two generators at the same start."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(_entropy(self.digest(*path)))))

    def integer(self, *path: str | int) -> int:
        """A seed below 2**63 for generators that take one integer, such as torch's or Python's `random`."""
        return int.from_bytes(self.digest(*path), "big") >> (256 - _TORCH_SEED_BITS)


def _entropy(digest: bytes) -> int | np.ndarray:
    """The digest as one integer, or as the words that NumPy makes of that integer, which takes it twice as long as all the rest."""
    if digest.startswith(_NO_HIGH_WORD):
        return int.from_bytes(digest, "big")
    return np.frombuffer(digest[::-1], dtype="<u4")


@contextmanager
def seeded_global_numpy(digest: bytes) -> Iterator[None]:
    """Inside this context NumPy's global generator starts from these bytes, for libraries that draw from it; afterwards it is as before."""
    before = np.random.get_state()
    np.random.seed(np.frombuffer(digest, dtype="<u4"))
    try:
        yield
    finally:
        np.random.set_state(before)
