import math

import pytest

from fedtiny.costs.compute import backward_macs, backward_passes, forward_macs, step_macs, step_seconds
from fedtiny.fleet.device import DeviceProfile, Rates

RATES = Rates(dense_gemm="1 kMAC/s", dense_convolution="2 kMAC/s", depthwise="4 kMAC/s", recurrent="8 kMAC/s")


def device(**given):
    return DeviceProfile(**{"name": "by_hand", "memory": "1 MB", "device_class": "test", "rates": RATES, **given})


def test_forward_macs_are_told_apart_by_class(toy):
    assert forward_macs(toy) == {"dense_convolution": 6912, "dense_gemm": 8}


def test_the_first_layer_needs_no_gradient_of_its_input(toy, toy_plans):
    assert backward_macs(toy, toy_plans["full"]) == {"dense_convolution": 6912, "dense_gemm": 2 * 8}


def test_training_the_head_alone_sends_no_gradient_below_it(toy, toy_plans):
    assert backward_macs(toy, toy_plans["last"]) == {"dense_convolution": 0, "dense_gemm": 8}
    assert step_macs(toy, toy_plans["last"]) == {"dense_convolution": 6912, "dense_gemm": 2 * 8}


def test_a_trained_bias_needs_the_gradients_of_all_layers_above_it_and_none_below(toy, toy_plans):
    assert backward_passes(toy, toy_plans["bias"]) == [0, 0, 1, 1, 2]
    assert backward_passes(toy, toy_plans["norm_last"]) == [0, 1, 1, 1, 2]
    assert backward_passes(toy, toy_plans["full"]) == [1, 2, 1, 1, 2]


def test_a_parallel_branch_without_trained_layers_needs_no_backward_pass(layer, make_network, training):
    summary = make_network(
        layer("stem", "convolution", 4, 4, weight=1),
        layer("main", "convolution", 4, 4, weight=1, upstream=(0,)),
        layer("side", "convolution", 4, 4, weight=1, upstream=(0,)),
        layer("side_end", "convolution", 4, 4, weight=1, upstream=(0, 2)),
        layer("head", "linear", 4, 4, weight=1, upstream=(0, 1, 2, 3), section="head"),
    )
    assert backward_passes(summary, training("side.weight")) == [0, 0, 1, 1, 1]


def test_a_product_of_two_activations_needs_the_gradients_of_both(layer, make_network, training):
    summary = make_network(
        layer("embed", "linear", 4, 4, weight=1),
        layer("scores", "other", 8, 4, macs=16, rate_class="dense_gemm", upstream=(0,)),
        layer("pool", "other", 4, 2, upstream=(0,)),
    )
    assert backward_passes(summary, training("embed.weight")) == [1, 2, 1]
    assert backward_passes(summary, training()) == [0, 0, 0]


def test_step_macs_are_forward_and_backward_together(toy, toy_plans):
    for plan in toy_plans.values():
        forward, backward, step = forward_macs(toy), backward_macs(toy, plan), step_macs(toy, plan)
        assert step == {rate_class: forward[rate_class] + backward[rate_class] for rate_class in forward}


def test_each_class_runs_at_its_own_rate(toy, toy_plans):
    assert step_seconds(toy, toy_plans["last"], 5, device()) == pytest.approx(5 * (6912 / 2000 + 16 / 1000))


@pytest.mark.parametrize(("rate_class", "rate"), [("dense_gemm", 1e3), ("dense_convolution", 2e3), ("depthwise", 4e3), ("recurrent", 8e3)])
def test_every_class_has_a_rate(rate_class, rate, layer, make_network, training):
    summary = make_network(layer("only", "other", 4, 4, macs=4000, rate_class=rate_class))
    assert step_seconds(summary, training(), 1, device()) == pytest.approx(4000 / rate)


def test_a_step_time_holds_whatever_the_scheme_or_batch(toy, toy_plans):
    fixed = device(rates=None, step_time="100 ms", memory_bandwidth="1 B/s")
    times = {step_seconds(toy, plan, batch_size, fixed) for plan in toy_plans.values() for batch_size in (1, 8, 999)}
    assert times == {0.1}


def test_a_pass_that_moves_much_takes_what_the_bandwidth_allows(layer, make_network, training):
    summary = make_network(layer("conv", "convolution", 100, 50, weight=10, macs=1000, rate_class="dense_convolution"))
    moved = 4 * (10 + 3 * (100 + 50))
    slow, fast = device(memory_bandwidth="100 B/s"), device(memory_bandwidth="1 GB/s")
    assert step_seconds(summary, training(), 3, slow) == pytest.approx(moved / 100)
    assert step_seconds(summary, training("conv.weight"), 3, slow) == pytest.approx(2 * moved / 100)
    assert step_seconds(summary, training(), 3, fast) == pytest.approx(3 * 1000 / 2000)


def test_the_bound_is_taken_layer_by_layer(layer, make_network, training):
    computing = layer("computing", "linear", 1, 1, macs=1000, rate_class="dense_gemm")
    moving = layer("moving", "relu", 1000, 1000)
    both = step_seconds(make_network(computing, moving), training(), 1, device(memory_bandwidth="1 kB/s"))
    assert both == pytest.approx(1000 / 1000 + 8000 / 1000)


def test_layers_without_macs_are_free_where_bandwidth_is_unknown_or_unlimited(layer, make_network, training):
    summary = make_network(layer("relu", "relu", 1000, 1000))
    for bandwidth in (None, "unlimited"):
        assert step_seconds(summary, training(), 8, device(memory_bandwidth=bandwidth)) == 0.0


def test_time_is_finite_for_every_plan(toy, toy_plans):
    for plan in toy_plans.values():
        assert math.isfinite(step_seconds(toy, plan, 8, device(memory_bandwidth="1 kB/s")))
