import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fedtiny.datasets import digits
from fedtiny.datasets.digits import Digits
from fedtiny.errors import DataError
from fedtiny.randomness import Streams

DIGITS = Digits().load(Streams(0))


def rows(inputs: np.ndarray, targets: np.ndarray) -> list[tuple[float, ...]]:
    return [(*image.ravel().tolist(), int(target)) for image, target in zip(inputs, targets, strict=True)]


def test_train_and_test_images_together_are_scikit_learns_digits():
    bunch = load_digits()
    expected = rows((bunch.images / 16).astype(np.float32), bunch.target)
    found = rows(DIGITS.train_inputs, DIGITS.train_targets) + rows(DIGITS.test_inputs, DIGITS.test_targets)
    assert sorted(found) == sorted(expected)


def test_every_fifth_image_of_the_sorted_classes_is_a_test_image():
    assert (len(DIGITS.train_inputs), len(DIGITS.test_inputs)) == (1437, 360)
    of_all = np.bincount(load_digits().target)
    assert np.all(np.abs(np.bincount(DIGITS.test_targets) - of_all / 5) < 1)
    first_zero = load_digits().images[np.flatnonzero(load_digits().target == 0)[0]] / 16
    assert np.array_equal(DIGITS.test_inputs[DIGITS.test_targets == 0][0, 0], first_zero.astype(np.float32))


def test_pixels_lie_between_0_and_1():
    assert DIGITS.train_inputs.dtype == np.float32
    assert (DIGITS.train_inputs.min(), DIGITS.train_inputs.max()) == (0, 1)


def test_the_split_is_the_recorded_one_whatever_the_seed():
    recorded = "77d5519b103346f774c34a004bc5440f4dde548a26ba1b1cf9653fa9d34c855a"
    assert Digits().load(Streams(1)).identity == DIGITS.identity == recorded


def test_facts_and_load_import_neither_scikit_learn_nor_torch():
    program = (
        "import sys; from fedtiny.datasets.digits import Digits; from fedtiny.randomness import Streams; "
        "Digits().facts(); Digits(image_size=16).load(Streams(0)); print(sorted({'sklearn', 'torch'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONWARNINGS": "error"}
    )
    assert answer.stdout.strip() == "[]"


def test_an_installed_file_of_other_content_is_not_trusted(monkeypatch):
    monkeypatch.setattr(digits, "_CONTENT", "0" * 64)
    assert Digits().load(Streams(0)).identity == DIGITS.identity


@pytest.mark.parametrize(
    ("part", "shape"), [(Digits(), (1, 8, 8)), (Digits(image_size=32, channels=3), (3, 32, 32)), (Digits(channels=2), (2, 8, 8))]
)
def test_facts_foretell_the_shape_of_what_is_loaded(part, shape):
    loaded = part.load(Streams(0))
    assert part.facts().input_shape == loaded.train_inputs.shape[1:] == loaded.test_inputs.shape[1:] == shape
    assert loaded.facts == part.facts()
    assert (part.facts().classes, part.facts().native_resolution) == (10, 8)


def test_a_subset_is_random_and_nested():
    everything = rows(DIGITS.train_inputs, DIGITS.train_targets)

    def images(examples: int, seed: int) -> set[tuple[float, ...]]:
        loaded = Digits(train_examples=examples).load(Streams(seed))
        found = rows(loaded.train_inputs, loaded.train_targets)
        assert (len(found), len(loaded.test_inputs)) == (examples, 360)
        assert sorted(found, key=everything.index) == found, "the order of the file is kept"
        return set(found)

    assert images(100, 0) < images(200, 0) < set(everything)
    assert images(100, 0) != images(100, 1)


def test_a_subset_of_the_test_examples_is_random_and_nested_and_changes_no_training_example():
    everything = rows(DIGITS.test_inputs, DIGITS.test_targets)

    def images(examples: int, seed: int) -> set[tuple[float, ...]]:
        loaded = Digits(test_examples=examples).load(Streams(seed))
        assert rows(loaded.train_inputs, loaded.train_targets) == rows(DIGITS.train_inputs, DIGITS.train_targets)
        return set(rows(loaded.test_inputs, loaded.test_targets))

    assert len(images(50, 0)) == 50
    assert images(50, 0) < images(100, 0) < set(everything)
    assert images(50, 0) != images(50, 1)


def test_a_subset_larger_than_the_data_is_refused():
    with pytest.raises(DataError, match="test_examples is 361, but there are 360 of them"):
        Digits(test_examples=361).load(Streams(0))
    with pytest.raises(DataError, match="train_examples is 1438, but there are 1437 of them: lower it or leave it out"):
        Digits(train_examples=1438).load(Streams(0))
