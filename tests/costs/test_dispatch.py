"""What torch starts beside the layers, for devices that pay for all of it."""

from dataclasses import replace

import pytest

from fedtiny.costs.compute import library_convolutions, started_operators, step_seconds, update_bytes
from fedtiny.fleet.device import BackwardFactors, DeviceProfile

RATES = dict.fromkeys(("dense_gemm", "dense_convolution", "depthwise", "recurrent"), "1 kMAC/s")


def device(**more):
    plain = {"name": "made_up", "device_class": "custom", "memory": "1 GB", "rates": RATES, "dispatched": "operators"}
    return DeviceProfile.model_validate({**plain, **more})


def test_a_layer_that_starts_one_operator_counts_as_before_and_its_tensors_two_each(toy, toy_plans):
    assert started_operators(toy, toy_plans["last"]) == (5 + 1) + 2 * 2
    assert started_operators(toy, toy_plans["full"]) == (5 + 1 + 2 + 1 + 1 + 2) + 2 * 5


def test_what_standardises_a_weight_is_started_forward_and_three_times_backward_where_that_weight_trains(layer, make_network, training):
    standardised = replace(layer("conv", "convolution", 4, 4, weight=9, macs=36, rate_class="dense_convolution"), operators=7)
    summary = make_network(standardised, layer("head", "linear", 4, 2, weight=8, upstream=(0,), macs=8, rate_class="dense_gemm"))
    assert started_operators(summary, training("head.weight")) == 7 + 2 + 2
    assert started_operators(summary, training("conv.weight")) == 7 + (1 + 3 * 6) + (1 + 1) + 2


def test_shortcuts_are_started_forward_and_where_a_gradient_goes_through_them_backward(layer, make_network, training):
    after = replace(layer("head", "linear", 4, 2, weight=8, upstream=(0,), macs=8, rate_class="dense_gemm"), between=3)
    summary = make_network(layer("conv", "convolution", 4, 4, weight=9, macs=36, rate_class="dense_convolution"), after)
    assert started_operators(summary, training("head.weight")) == 1 + 3 + 2 + 2
    assert started_operators(summary, training("conv.weight")) == 2 + 2 * 3 + 2 + 2


def test_a_recurrent_layer_starts_as_many_backward_as_forward_for_each_gradient(layer, make_network, training):
    own = replace(layer("lstm", "other", 70, 35, weight=20, macs=140, rate_class="recurrent"), operators=50)
    summary = make_network(own)
    assert started_operators(summary, training()) == 50
    assert started_operators(summary, training("lstm.weight")) == 100 + 2


@pytest.mark.parametrize(
    ("rate_class", "groups", "inputs", "batch_size", "handed"),
    [
        ("pointwise_convolution", 1, 100, 15, 0),
        ("pointwise_convolution", 1, 100, 16, 1),
        ("dense_convolution", 1, 20480, 1, 0),
        ("dense_convolution", 1, 20481, 1, 1),
        ("dense_convolution", 1, 100, 2, 1),
        ("depthwise", 8, 100, 1, 1),
    ],
)
def test_convolutions_are_handed_over_by_torchs_rule(layer, make_network, training, rate_class, groups, inputs, batch_size, handed):
    summary = make_network(layer("conv", "convolution", inputs, 9, weight=9, macs=9, rate_class=rate_class, groups=groups))
    assert library_convolutions(summary, training(), batch_size) == handed
    assert library_convolutions(summary, training("conv.weight"), batch_size) == 2 * handed


def test_a_step_pays_for_what_is_started_handed_over_and_updated(toy, toy_plans):
    for name, plan in toy_plans.items():
        for batch_size in (1, 2):
            without = step_seconds(toy, plan, batch_size, device(memory_bandwidth="1 kB/s"))
            slow = step_seconds(
                toy, plan, batch_size, device(memory_bandwidth="1 kB/s", dispatch_overhead="10 ms", convolution_overhead="1 s")
            )
            added = 10e-3 * started_operators(toy, plan) + library_convolutions(toy, plan, batch_size)
            assert slow == pytest.approx(without + added), name
            layers = step_seconds(toy, plan, batch_size, device(memory_bandwidth="1 kB/s", dispatched="layers"))
            assert without == pytest.approx(layers + update_bytes(toy, plan) / 1e3), name
    assert update_bytes(toy, toy_plans["full"]) == 12 * (108 + 8 + 10)


def test_gradients_of_weights_have_a_factor_of_their_own(toy, toy_plans):
    own = device(backward_factor=BackwardFactors(dense_gemm=3.0), weight_factor=BackwardFactors(dense_gemm=5.0, dense_convolution=2.0))
    both = (1 + 3 + 5) * 8 + (1 + 2) * 6912
    assert step_seconds(toy, toy_plans["full"], 7, own) == pytest.approx(7 * both / 1000)


def test_handing_convolutions_over_goes_with_counting_operators_only():
    with pytest.raises(ValueError, match="add dispatched: operators"):
        device(dispatched="layers", convolution_overhead="1 ms")


def test_a_convolution_runs_at_the_rate_of_what_computes_it(layer, make_network, training):
    rates = {**RATES, "dense_convolution": "1 kMAC/s", "pointwise_convolution": "2 kMAC/s"}
    for rate_class in ("dense_convolution", "pointwise_convolution"):
        summary = make_network(layer("conv", "convolution", 9, 9, weight=9, macs=81, rate_class=rate_class))
        own = device(rates=rates)
        assert step_seconds(summary, training(), 1, own) == pytest.approx(81 / 2000)
        assert step_seconds(summary, training(), 16, own) == pytest.approx(16 * 81 / 1000)
