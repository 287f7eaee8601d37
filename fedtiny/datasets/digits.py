"""Handwritten digits of the UCI repository, 1797 images of 8 x 8 pixels, which scikit-learn's wheel contains.

The embedded default: real data that needs no download. Pixel counts 0..16 are scaled to 0..1. The split is fixed and
stratified: the images are sorted by class, in the order of the file within a class, and every fifth, beginning with
the first, is a test image: 1437 to train on, 360 to test on, of every class a fifth.

Importing scikit-learn takes longer than a whole small run, so the file is read from the installed wheel directly; its
content is checked, and if it is not where or what it was, scikit-learn's own reader is asked instead.
"""

import gzip
import hashlib
import importlib.util
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fedtiny.datasets.base import Data, Dataset, DatasetFacts, Examples, prepare
from fedtiny.datasets.images import shape_after
from fedtiny.randomness import Streams

SOURCE: Final = (
    "E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, 1998, "
    "doi:10.24432/C50P49; as distributed with scikit-learn."
)
_CONTENT: Final = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"
_SIDE: Final = 8
_LARGEST_COUNT: Final = 16


class Digits(Data):
    """8 x 8 images of handwritten digits, 1437 to train on and 360 to test on; part of the installation."""

    kind: Literal["digits"] = "digits"

    def facts(self) -> DatasetFacts:
        """10 classes of grey images, 8 x 8 unless resized; nothing is read."""
        return DatasetFacts("digits", shape_after((1, _SIDE, _SIDE), self.image_size, self.channels), classes=10, native_resolution=_SIDE)

    def load(self, streams: Streams) -> Dataset:
        """The images in 0..1 and their digits."""
        table = _read_table()
        order = np.argsort(table[:, -1], kind="stable")
        testing = np.arange(len(table)) % 5 == 0
        train, test = (_examples(table[np.sort(order[part])]) for part in (~testing, testing))
        return prepare(self, self.facts(), train, test, streams, SOURCE)


def _examples(table: NDArray[np.float64]) -> Examples:
    images = table[:, :-1].reshape(-1, 1, _SIDE, _SIDE) / _LARGEST_COUNT
    return Examples(images.astype(np.float32), table[:, -1].astype(np.int64))


def _read_table() -> NDArray[np.float64]:
    """64 pixel counts and the digit, a row per image: `(1797, 65)`."""
    text = _text_of_installed_file()
    if text is not None and hashlib.sha256(text).hexdigest() == _CONTENT:
        return np.loadtxt(text.decode("ascii").splitlines(), delimiter=",")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])


def _text_of_installed_file() -> bytes | None:
    """The file of scikit-learn's wheel, found without importing scikit-learn; None where it cannot be read."""
    found = importlib.util.find_spec("sklearn")
    for folder in (found.submodule_search_locations if found else None) or ():
        try:
            return gzip.decompress((Path(folder) / "datasets" / "data" / "digits.csv.gz").read_bytes())
        except (OSError, EOFError):
            continue
    return None
