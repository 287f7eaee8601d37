import math

import pytest

from fedtiny.costs.compute import (
    backward_macs,
    backward_passes,
    forward_macs,
    step_groups,
    step_macs,
    step_operators,
    step_seconds,
)
from fedtiny.fleet.device import BackwardFactors, DeviceProfile, Rates

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


# --- what starting operators, backward kernels and classes of their own cost ------------------------------------------


def test_a_class_of_its_own_runs_at_its_own_rate_and_else_as_the_one_it_is_kin_to(layer, make_network, training):
    for rate_class, kin, rate in (("pointwise_convolution", 2000, 400), ("grouped_convolution", 2000, 500), ("attention", 1000, 250)):
        summary = make_network(layer("only", "other", 4, 4, weight=1, macs=4000, rate_class=rate_class))
        assert step_seconds(summary, training(), 1, device()) == pytest.approx(4000 / kin)
        own = Rates(**{**RATES.to_plain(), rate_class: f"{rate} MAC/s"})
        assert step_seconds(summary, training(), 1, device(rates=own)) == pytest.approx(4000 / rate)


def test_operators_are_one_a_layer_forward_and_one_for_each_gradient_backward(toy, toy_plans):
    # conv, norm, relu, pool, fc; what trains has a gradient of its own, and everything above it one of its input
    assert step_operators(toy, toy_plans["last"]) == 5 + 1
    assert step_operators(toy, toy_plans["bias"]) == 5 + 1 + 1 + 1 + 2
    assert step_operators(toy, toy_plans["full"]) == 5 + 1 + 2 + 1 + 1 + 2


def test_a_layer_that_hands_on_what_it_gets_is_no_operator(layer, make_network, training):
    given = make_network(
        layer("drop", "other", 9, 9), layer("flatten", "other", 9, 9), layer("pool", "other", 9, 3), layer("relu", "relu", 9, 9)
    )
    assert step_operators(given, training()) == 2


def test_a_product_of_activations_starts_two_operators_backward_and_a_recurrent_layer_as_many_as_it_has_time_steps(
    layer, make_network, training
):
    summary = make_network(
        layer("embed", "linear", 4, 4, weight=1, macs=4, rate_class="dense_gemm"),
        layer("scores", "other", 8, 4, macs=16, rate_class="attention", upstream=(0,)),
        layer("lstm", "other", 70, 35, weight=20, macs=7 * 20, rate_class="recurrent", upstream=(0,)),
    )
    assert step_operators(summary, training()) == 1 + 1 + 7
    assert step_operators(summary, training("embed.weight")) == (1 + 1) + (1 + 2) + (7 + 7)
    assert step_operators(summary, training("lstm.weight")) == 1 + 1 + 3 * 7 - 7
    assert step_operators(summary, training("embed.weight", "lstm.weight")) == (1 + 1) + (1 + 2) + 3 * 7


def test_every_operator_takes_the_overhead_whatever_the_batch(toy, toy_plans):
    for name, plan in toy_plans.items():
        for batch_size in (1, 64):
            without = step_seconds(toy, plan, batch_size, device())
            slow = step_seconds(toy, plan, batch_size, device(dispatch_overhead="10 ms"))
            assert slow == pytest.approx(without + 10e-3 * step_operators(toy, plan)), name


def test_backward_passes_run_at_the_rate_divided_by_the_factor_of_their_class_and_forward_passes_do_not(toy, toy_plans):
    factors = BackwardFactors(dense_gemm=3.0)
    assert step_seconds(toy, toy_plans["last"], 5, device(backward_factor=factors)) == pytest.approx(5 * (6912 / 2000 + (8 + 3 * 8) / 1000))
    full = step_seconds(toy, toy_plans["full"], 5, device(backward_factor=factors))
    assert full == pytest.approx(5 * (2 * 6912 / 2000 + (8 + 3 * 16) / 1000))


def test_a_backward_factor_does_not_slow_down_what_the_bandwidth_bounds(layer, make_network, training):
    summary = make_network(layer("conv", "convolution", 100, 50, weight=10, macs=1000, rate_class="dense_convolution"))
    slow = device(memory_bandwidth="100 B/s", backward_factor=BackwardFactors(dense_convolution=1.5))
    assert step_seconds(summary, training("conv.weight"), 1, slow) == pytest.approx(2 * 4 * 160 / 100)


def test_groups_are_counted_of_convolutions_that_have_several_once_for_every_operator(layer, make_network, training):
    summary = make_network(
        layer("stem", "convolution", 4, 4, weight=1, macs=4, rate_class="dense_convolution"),
        layer("depthwise", "convolution", 4, 4, weight=1, macs=4, rate_class="depthwise", groups=32, upstream=(0,)),
        layer("grouped", "convolution", 4, 4, weight=1, macs=4, rate_class="grouped_convolution", groups=2, upstream=(0, 1)),
    )
    assert step_groups(summary, training()) == 32 + 2
    assert step_groups(summary, training("depthwise.weight")) == (32 + 32) + (2 + 2)
    everything = training("stem.weight", "depthwise.weight", "grouped.weight")
    assert step_groups(summary, everything) == 3 * (32 + 2)
    for batch_size in (1, 64):
        slow = step_seconds(summary, everything, batch_size, device(group_overhead="1 ms"))
        assert slow == pytest.approx(step_seconds(summary, everything, batch_size, device()) + 1e-3 * 3 * 34)


def test_a_layer_that_hands_on_what_it_gets_moves_no_bytes(layer, make_network, training):
    summary = make_network(layer("drop", "other", 900, 900))
    assert step_seconds(summary, training(), 8, device(memory_bandwidth="1 B/s")) == 0.0
