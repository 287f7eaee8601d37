import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedtiny.datasets.synthetic import Synthetic
from fedtiny.randomness import Streams


def nearest_mean_accuracy(part: Synthetic) -> float:
    """The share of test examples whose nearest class mean of the training examples is their own."""
    data = part.load(Streams(0))
    means = np.stack([data.train_inputs[data.train_targets == label].mean(axis=0).ravel() for label in range(part.classes)])
    distances = ((data.test_inputs.reshape(len(data.test_inputs), 1, -1) - means) ** 2).sum(axis=2)
    return float((distances.argmin(axis=1) == data.test_targets).mean())


@settings(max_examples=25)
@given(st.integers(2, 6), st.integers(1, 60), st.integers(1, 30), st.integers(1, 12), st.integers(1, 3), st.floats(0, 2))
def test_shapes_and_counts_are_as_asked_for(classes, examples, test_examples, image_size, channels, noise):
    part = Synthetic(classes=classes, examples=examples, test_examples=test_examples, image_size=image_size, channels=channels, noise=noise)
    data = part.load(Streams(1))
    assert data.train_inputs.shape == (examples, channels, image_size, image_size)
    assert data.test_inputs.shape == (test_examples, channels, image_size, image_size)
    assert part.facts().input_shape == data.train_inputs.shape[1:]
    assert np.ptp(np.bincount(data.train_targets, minlength=classes)) <= 1
    assert (data.train_inputs.dtype, data.train_targets.dtype) == (np.float32, np.int64)


def test_everything_comes_from_the_seed():
    assert Synthetic().load(Streams(5)).identity == Synthetic().load(Streams(5)).identity
    assert Synthetic().load(Streams(5)).identity != Synthetic().load(Streams(6)).identity


def test_more_noise_leaves_the_classes_less_apart():
    accuracies = [nearest_mean_accuracy(Synthetic(noise=noise)) for noise in (0.0, 1.5, 4.0, 100.0)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] == 1
    assert accuracies[1] > 0.9
    assert accuracies[-1] < 0.3


def test_no_test_example_is_a_training_example():
    data = Synthetic(examples=50, test_examples=50).load(Streams(0))
    assert not np.isin(data.test_inputs, data.train_inputs).any()


def test_more_test_examples_do_not_change_the_training_examples():
    few, many = (Synthetic(test_examples=count).load(Streams(0)) for count in (10, 50))
    assert np.array_equal(few.train_inputs, many.train_inputs)


def test_the_noise_has_the_stated_standard_deviation():
    data = Synthetic(classes=2, examples=4000, noise=0.7).load(Streams(0))
    first = data.train_inputs[data.train_targets == 0]
    assert (first - first.mean(axis=0)).std() == pytest.approx(0.7, rel=0.02)
