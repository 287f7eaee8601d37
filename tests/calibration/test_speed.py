"""The fit: the same arithmetic as the model of time, and profiles found again from what they make steps take."""

import numpy as np
import pytest

from fedtiny.calibration.probes import NETWORKS, probes
from fedtiny.calibration.speed import CLASSES, PARAMETERS, fit, passes_of, speed_of
from fedtiny.costs.compute import step_seconds
from fedtiny.fleet.device import DeviceProfile

RATES = dict(zip(CLASSES, (31e9, 61e9, 17e9, 9e9, 41e9, 13e9, 23e9), strict=True))
BACKWARD = dict(zip(CLASSES, (0.8, 1.7, 1.2, 3.1, 1.3, 0.9, 1.6), strict=True))
WEIGHT = dict(zip(CLASSES, (0.7, 0.9, 1.1, 9.0, 2.1, 1.4, 1.0), strict=True))
OF_ALL = {"memory_bandwidth": 7e9, "dispatch_overhead": 7e-6, "convolution_overhead": 60e-6, "group_overhead": 2e-6}
TRUE = np.log([*RATES.values(), *BACKWARD.values(), *WEIGHT.values(), *OF_ALL.values()])


@pytest.fixture(scope="module")
def steps():
    return [(probe.summary, probe.plan, probe.batch_size) for probe in probes()]


@pytest.fixture(scope="module")
def passes(steps):
    return passes_of(steps)


def device():
    return DeviceProfile.model_validate(
        {
            "name": "made_up",
            "device_class": "custom",
            "memory": "1 GB",
            "rates": {name: f"{rate!r} MAC/s" for name, rate in RATES.items()},
            "backward_factor": BACKWARD,
            "weight_factor": WEIGHT,
            "dispatched": "operators",
            "memory_bandwidth": "7 GB/s",
            "dispatch_overhead": "7 us",
            "convolution_overhead": "60 us",
            "group_overhead": "2 us",
        }
    )


def test_steps_take_what_the_model_of_time_says(steps, passes):
    expected = [step_seconds(*step, device()) for step in steps]
    np.testing.assert_allclose(passes.seconds(TRUE), expected, rtol=1e-12)


def test_what_every_step_depends_on_is_found_again_exactly(passes):
    found = fit(passes, passes.seconds(TRUE), prior=1e-6)
    np.testing.assert_allclose(passes.seconds(found), passes.seconds(TRUE), rtol=1e-3)
    known = [place for place, name in enumerate(PARAMETERS) if name not in ("weight_factor.attention",)]
    off = {PARAMETERS[place]: float(np.expm1(found[place] - TRUE[place])) for place in known}
    assert max(map(abs, off.values())) < 0.02, off


@pytest.mark.parametrize("slower", [0.1, 100.0])
def test_a_machine_that_is_so_much_slower_in_everything_is_found_to_be_so(passes, slower):
    seconds = passes.seconds(TRUE)
    one, other = (speed_of(fit(passes, seconds * times)) for times in (1.0, slower))
    for name in CLASSES:
        assert other["rates"][name] == pytest.approx(one["rates"][name] / slower, rel=1e-3)
    assert other["dispatch_overhead"] == pytest.approx(one["dispatch_overhead"] * slower, rel=1e-3)


def test_a_few_wrong_times_change_little(passes):
    seconds = passes.seconds(TRUE)
    wrong = seconds.copy()
    wrong[::29] *= 20
    error = np.abs(passes.seconds(fit(passes, wrong)) / seconds - 1)
    assert np.median(error) < 0.05


def test_every_class_of_operators_is_timed_in_at_least_two_networks(steps):
    for name in CLASSES:
        assert len({step[0].model for step in steps if any(layer.rate_class == name for layer in step[0].layers)}) >= 2, name


def test_no_network_of_the_catalog_is_timed():
    kinds = ("mcunet", "mobilenet", "proxyless", "efficientnet", "small_cnn", "keyword", "char_lstm")
    assert not [network.name for network in NETWORKS if any(kind in network.name for kind in kinds)]
