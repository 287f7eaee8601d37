import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fedtiny.datasets.npz import Npz, file_digest
from fedtiny.datasets.partition import Natural
from fedtiny.errors import DataError
from fedtiny.randomness import Streams


def arrays(**changes) -> dict[str, np.ndarray]:
    """A small correct archive, with some arrays changed; None leaves an array out."""
    generator = np.random.default_rng(0)
    good = {
        "x_train": generator.random((6, 2, 4, 5)),
        "y_train": np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8),
        "x_test": generator.random((3, 2, 4, 5)),
        "y_test": np.array([3, 0, 1], dtype=np.int32),
    }
    return {name: array for name, array in {**good, **changes}.items() if array is not None}


@pytest.fixture
def save(tmp_path):
    def write(**changes) -> str:
        np.savez(tmp_path / "mine.npz", **arrays(**changes))
        return str(tmp_path / "mine.npz")

    return write


def test_arrays_are_taken_as_they_are(save):
    data = Npz(path=save()).load(Streams(0))
    expected = arrays()
    assert data.train_inputs.dtype == np.float64
    assert np.array_equal(data.train_inputs, expected["x_train"])
    assert np.array_equal(data.test_inputs, expected["x_test"])
    assert data.train_targets.dtype == data.test_targets.dtype == np.int64
    assert data.train_targets.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.client_train is None


def test_classes_count_from_0_to_the_largest_in_either_part(save):
    facts = Npz(path=save()).facts()
    assert (facts.name, facts.input_shape, facts.classes, facts.native_resolution, facts.categorical) == ("mine", (2, 4, 5), 4, 4, True)


def test_compressed_archives_are_read_too(tmp_path):
    np.savez_compressed(tmp_path / "small.npz", **arrays())
    assert np.array_equal(Npz(path=str(tmp_path / "small.npz")).load(Streams(0)).train_inputs, arrays()["x_train"])


def test_inputs_need_not_be_images(save):
    path = save(x_train=np.zeros((6, 3)), x_test=np.zeros((3, 3)))
    assert Npz(path=path).facts().input_shape == (3,)
    assert Npz(path=path).load(Streams(0)).train_inputs.shape == (6, 3)
    with pytest.raises(DataError, match="need images"):
        Npz(path=path, image_size=8).facts()


@pytest.mark.parametrize(("shape", "numbers"), [((), 1), ((1,), 1), ((4,), 4)])
def test_floating_point_targets_are_kept_and_are_no_classes(save, shape, numbers):
    y_train, y_test = np.linspace(0, 1, 6 * numbers).reshape(6, *shape), np.zeros((3, *shape))
    part = Npz(path=save(y_train=y_train, y_test=y_test))
    assert (part.facts().classes, part.facts().categorical) == (numbers, False)
    assert np.array_equal(part.load(Streams(0)).train_targets, y_train)
    assert part.load(Streams(0)).train_targets.dtype == np.float64


def test_the_examples_owners_travel_with_a_random_subset(save):
    inputs = np.arange(6.0).reshape(6, 1)
    path = save(x_train=inputs, x_test=np.zeros((3, 1)), client_train=np.arange(6) * 10)
    data = Npz(path=path, train_examples=4, partition=Natural()).load(Streams(0))
    assert len(data.train_inputs) == 4
    assert np.array_equal(data.client_train, data.train_inputs[:, 0] * 10)
    assert np.array_equal(data.train_targets, data.train_inputs[:, 0] % 3)


def test_images_are_resized_in_their_own_precision(save):
    data = Npz(path=save(), image_size=7, channels=1).load(Streams(0))
    assert data.train_inputs.shape == (6, 1, 7, 7)
    assert data.train_inputs.dtype == np.float64


def test_facts_read_no_inputs(save, tmp_path):
    """An archive whose inputs end right behind the header still tells its shape."""
    with zipfile.ZipFile(save()) as whole, zipfile.ZipFile(tmp_path / "cut.npz", "w") as cut:
        for name in whole.namelist():
            content = whole.read(name)
            cut.writestr(name, content[:128] if name.startswith("x_") else content)
    part = Npz(path=str(tmp_path / "cut.npz"))
    assert part.facts().input_shape == (2, 4, 5)
    with pytest.raises(DataError, match="cannot be read"):
        part.load(Streams(0))


def test_a_file_of_another_digest_is_refused(save):
    path = save()
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert file_digest(path) == digest
    assert len(Npz(path=path, sha256=digest).load(Streams(0)).train_inputs) == 6
    save(y_test=np.array([0, 0, 0]))
    with pytest.raises(DataError, match=f"the scenario says {digest}: it is not the same file"):
        Npz(path=path, sha256=digest).load(Streams(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "has no array y_test, only x_test, x_train, y_train; needed are x_train, y_train, x_test, y_test"),
        ({"x_train": np.zeros((6, 2, 4, 5), np.uint8)}, "x_train is of type uint8, allowed are float32 and float64"),
        ({"x_test": np.zeros((3, 2, 4, 5), np.float32)}, "x_train is of type float64, but x_test of float32"),
        ({"x_test": np.zeros((3, 2, 4, 4))}, r"shape \(2, 4, 5\) in x_train, but \(2, 4, 4\) in x_test"),
        ({"x_train": np.zeros(6)}, r"x_train has shape \(6,\): it needs at least one example, and an axis after the first"),
        ({"x_test": np.zeros((0, 2, 4, 5)), "y_test": np.zeros(0, int)}, r"x_test has shape \(0, 2, 4, 5\)"),
        ({"x_train": np.full((6, 2, 4, 5), np.nan)}, "x_train holds values that are not finite"),
        ({"y_train": np.zeros(5, int)}, "y_train has 5 targets for 6 examples"),
        ({"y_train": np.zeros((6, 1), int)}, r"y_train has shape \(6, 1\): allowed are \(examples,\)"),
        ({"y_train": np.array(0)}, r"y_train has shape \(\)"),
        ({"y_train": np.array(["a"] * 6)}, "y_train is of type <U1: allowed are whole numbers"),
        ({"y_train": np.zeros(6)}, "y_train is of type float64, but y_test of int32"),
        ({"y_train": np.full(6, -1)}, "classes are whole numbers from 0 to 99999, found -1"),
        ({"y_train": np.full(6, 10**6)}, "found 1000000"),
        ({"y_train": np.full(6, np.inf), "y_test": np.zeros(3)}, "y_train or y_test holds values that are not finite"),
        ({"client_train": np.zeros(6)}, "client_train is of type float64 and shape .* allowed is one whole number for each of the 6"),
        ({"client_train": np.zeros(5, int)}, r"client_train is of type int64 and shape \(5,\)"),
        ({"y_train": np.array([object()] * 6)}, "y_train is of type object"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_with_what_is_allowed(save, changes, message):
    with pytest.raises(DataError, match=message):
        Npz(path=save(**changes)).load(Streams(0))


def test_nothing_is_unpickled(save):
    with pytest.raises(DataError, match="x_train is of type object"):
        Npz(path=save(x_train=np.array([[object()]] * 6))).load(Streams(0))


def test_files_that_are_no_archives_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "one.npy", np.zeros(3))
    for name, message in [
        ("text.npz", "is not a whole .npz file"),
        ("one.npy", "is not a whole .npz file"),
        ("none.npz", "cannot read .*No such"),
    ]:
        with pytest.raises(DataError, match=message):
            Npz(path=str(tmp_path / name)).facts()
    with pytest.raises(DataError, match=r"cannot read .*directory"):
        Npz(path=str(tmp_path)).facts()
    with pytest.raises(DataError, match="cannot read"):
        file_digest(tmp_path / "none.npz")
