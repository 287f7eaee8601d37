"""B16: each of the three mistakes that are easily made in DGA is made once, and the test of the identity it breaks sees it."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from fedtiny.strategies.dga_client import _Worker

RATE = 0.1


def sibling(name):
    """Another test module of this folder; pytest gives it no importable name."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


identities = sibling("test_dga")


@pytest.fixture
def own_sum_not_subtracted(monkeypatch):
    """The correction is mbar instead of mbar - m^i."""
    right = _Worker._correction

    def wrong(self, arrays, config):
        right(self, arrays, config)
        return np.zeros_like(self.memory.weights) if arrays is None else arrays.copy()

    monkeypatch.setattr(_Worker, "_correction", wrong)


@pytest.fixture
def corrections_sent_along(monkeypatch):
    """The sum that is sent contains the correction that was applied in its round."""
    right = _Worker._correction

    def wrong(self, arrays, config):
        correction = right(self, arrays, config)
        self.memory.sum = self.memory.sum + correction
        return correction

    monkeypatch.setattr(_Worker, "_correction", wrong)


@pytest.fixture
def weights_overwritten(monkeypatch):
    """A client that receives an average takes the server's model for its own weights."""
    right, start, models = _Worker._correction, _Worker._start, {}

    def begin(self, arrays, config):
        start(self, arrays, config)
        models[self.client.number] = self.memory.weights.copy()

    def wrong(self, arrays, config):
        correction = right(self, arrays, config)
        if arrays is None:
            return correction
        models[self.client.number] = models[self.client.number] - self.rate * arrays
        return (self.memory.weights - models[self.client.number]) / self.rate - self.memory.gradient

    monkeypatch.setattr(_Worker, "_start", begin)
    monkeypatch.setattr(_Worker, "_correction", wrong)


@pytest.mark.usefixtures("own_sum_not_subtracted")
def test_b5_sees_that_the_own_sum_is_not_subtracted(curve):
    with pytest.raises(AssertionError):
        identities.test_b5_the_mean_of_the_clients_descends_the_mean_gradient(curve, 3, 2)


@pytest.mark.usefixtures("own_sum_not_subtracted")
def test_without_its_own_sum_subtracted_the_mean_goes_twice_as_far(quadratics):
    federation = quadratics([0.0, 0.0], [0.0, 0.0], [1.0, 3.0], start=0.0)
    found = federation.run(identities.dga(1, weighting="uniform"), local_steps=1, rounds=30)
    np.testing.assert_allclose(np.diff(found.weights[10:].mean(axis=(1, 2))), -2 * RATE * 2.0, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("corrections_sent_along")
@pytest.mark.parametrize(("local_steps", "delay"), [(2, 3), (3, 4)])
def test_b11_sees_that_corrections_are_sent_along(quadratics, local_steps, delay):
    with pytest.raises(AssertionError):
        identities.test_b11_closed_form_of_constant_gradients(quadratics, local_steps, delay)


@pytest.mark.usefixtures("corrections_sent_along")
@pytest.mark.parametrize(("local_steps", "delay"), [(3, 2), (2, 5), (4, 4)])
def test_b5_does_not_see_that_corrections_are_sent_along(curve, local_steps, delay):
    identities.test_b5_the_mean_of_the_clients_descends_the_mean_gradient(curve, local_steps, delay)


@pytest.mark.usefixtures("corrections_sent_along")
@pytest.mark.parametrize(("local_steps", "delay"), [(2, 1), (2, 3), (3, 4)])
def test_corrections_sent_along_show_at_the_correction_of_the_first_round_that_contained_one(quadratics, local_steps, delay):
    c, mean = np.array([1.0, 3.0, 8.0]), 4.0
    found = quadratics([0.0] * 3, [0.0] * 3, c, start=0.0).run(
        identities.dga(delay, weighting="uniform"), local_steps=local_steps, rounds=10
    )
    steps = np.arange(1, len(found.weights))
    corrected = np.where(steps >= delay, (steps - delay) // local_steps, 0)[:, None]
    expected = -RATE * (steps[:, None] * mean + (steps[:, None] - corrected * local_steps) * (c - mean))
    wrong = np.flatnonzero(np.abs(found.weights[1:, :, 0] - expected).max(axis=1) > 1e-9) + 1
    first_round_with_a_correction = -(-(local_steps + delay) // local_steps)
    assert wrong[0] == first_round_with_a_correction * local_steps + delay


@pytest.mark.usefixtures("weights_overwritten")
@pytest.mark.parametrize(("local_steps", "delay"), [(1, 2), (3, 2), (2, 5)])
def test_b6_sees_that_weights_are_overwritten(curve, local_steps, delay):
    with pytest.raises(AssertionError):
        identities.test_b6_clients_share_everything_but_their_own_latest_gradients(curve, local_steps, delay)
