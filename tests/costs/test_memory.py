import subprocess
import sys

import pytest

from fedtiny.costs.memory import tinytl_memory

# peak per sample, saved per sample, parameter bytes, total at batch 1: worked out by hand from the table in memory.py
TOY = {
    "last": (1792, 16, 156, 1948),
    "bias": (1792, 48, 168, 1960),
    "norm_last": (2048, 1072, 180, 2228),
    "full": (2816, 1840, 504, 3320),
}


@pytest.mark.parametrize("scheme", TOY)
def test_the_toy_network_takes_what_was_worked_out_by_hand(scheme, toy, toy_plans):
    ledger = tinytl_memory(toy, toy_plans[scheme], 1)
    found = (ledger.peak_bytes_per_sample, ledger.saved_bytes_per_sample, ledger.parameter_bytes, ledger.total_bytes)
    assert found == TOY[scheme]


@pytest.mark.parametrize("scheme", TOY)
@pytest.mark.parametrize("batch_size", [1, 8, 32])
def test_memory_is_affine_in_the_batch(scheme, batch_size, toy, toy_plans):
    peak, _, parameters, _ = TOY[scheme]
    ledger = tinytl_memory(toy, toy_plans[scheme], batch_size)
    assert ledger.total_bytes == parameters + batch_size * peak
    assert ledger.batch_size == batch_size


def test_the_items_add_up_to_the_total_and_say_what_the_peak_consists_of(toy, toy_plans):
    ledger = tinytl_memory(toy, toy_plans["full"], 2, client_vectors=3)
    assert ledger.peak_layer == "relu"
    assert ledger.items == {
        "trainable_parameters": 504,
        "frozen_parameters": 0,
        "saved_activations": 2 * (768 + 1024),
        "transient_activations": 2 * 1024,
        "residual_activations": 0,
        "client_vectors": 3 * 504,
    }
    assert sum(ledger.items.values()) == ledger.total_bytes


def test_the_ledger_walks_through_the_layers_and_its_peak_is_one_of_them(toy, toy_plans):
    ledger = tinytl_memory(toy, toy_plans["full"], 2, client_vectors=3).ledger
    assert [moment.layer for moment in ledger.moments] == ["conv", "norm", "relu", "pool", "fc"]
    assert {moment.phase for moment in ledger.moments} == {"forward"}
    assert max(moment.total_bytes for moment in ledger.moments) == ledger.total_bytes
    assert ledger.items in [moment.items for moment in ledger.moments]
    assert ledger.accounting == "tinytl"


def test_training_in_float64_takes_twice_as_much_of_all_that_trains_and_flows(toy, toy_plans):
    single = tinytl_memory(toy, toy_plans["full"], 2, client_vectors=3)
    double = tinytl_memory(toy, toy_plans["full"], 2, client_vectors=3, trainable_bits=64, activation_bits=64, vector_element_bytes=8)
    assert double.items["trainable_parameters"] == 2 * single.items["trainable_parameters"]
    assert double.client_vectors == 2 * single.client_vectors
    assert double.transient_activations == 2 * single.transient_activations


def test_vectors_of_a_strategy_are_billed_at_their_own_width(toy, toy_plans):
    plain = tinytl_memory(toy, toy_plans["bias"], 4)
    wide = tinytl_memory(toy, toy_plans["bias"], 4, client_vectors=5, vector_element_bytes=8)
    assert plain.client_vectors == 0
    assert wide.client_vectors == 5 * 8 * 14
    assert wide.total_bytes - plain.total_bytes == wide.client_vectors


def test_frozen_parameters_at_4_bits_save_half_a_byte_each(toy, toy_plans):
    frozen = 126 - 14
    at_8_bits = tinytl_memory(toy, toy_plans["bias"], 8)
    assert at_8_bits.total_bytes - tinytl_memory(toy, toy_plans["bias"], 8, frozen_bits=4).total_bytes == frozen // 2
    assert tinytl_memory(toy, toy_plans["bias"], 8, frozen_bits=32).total_bytes - at_8_bits.total_bytes == 3 * frozen


def test_activations_of_16_bits_halve_all_but_the_masks(toy, toy_plans):
    full, half = (tinytl_memory(toy, toy_plans["full"], 1, activation_bits=bits) for bits in (32, 16))
    assert half.activation_bytes * 2 == full.activation_bytes
    assert half.saved_bytes_per_sample - 32 == (full.saved_bytes_per_sample - 32) / 2


def test_a_smooth_activation_keeps_32_times_what_a_relu_keeps(layer, make_network, training):
    def kept(operator):
        return tinytl_memory(make_network(layer("act", operator, 256, 256)), training(), 1).saved_bytes_per_sample

    assert kept("relu") == 32
    assert kept("smooth_activation") == 32 * kept("relu")


@pytest.mark.parametrize("operator", ["relu", "smooth_activation"])
def test_activations_keep_nothing_if_nothing_below_the_head_trains(operator, layer, make_network, training):
    plan = training(requires_backward=False)
    assert tinytl_memory(make_network(layer("act", operator, 256, 256)), plan, 1).saved_bytes_per_sample == 0


def test_the_output_of_a_grouped_convolution_counts_only_one_group(layer, make_network, training):
    grouped = layer("conv", "convolution", 10, 33, weight=9, groups=8)
    assert tinytl_memory(make_network(grouped), training(), 1).transient_activations == 40 + 132 // 8


@pytest.mark.parametrize(
    ("operator", "transient"),
    [("convolution", 400 + 120), ("linear", 400 + 120), ("normalization", 400), ("relu", 400), ("smooth_activation", 400), ("other", 0)],
)
def test_each_operator_occupies_its_own_while_it_computes(operator, transient, layer, make_network, training):
    assert tinytl_memory(make_network(layer("only", operator, 100, 30)), training(), 1).activation_bytes == transient


def test_a_trained_bias_alone_keeps_no_input(layer, make_network, training):
    convolution = make_network(layer("conv", "convolution", 100, 100, weight=9, bias=4))
    assert tinytl_memory(convolution, training("conv.bias"), 1).saved_bytes_per_sample == 0
    assert tinytl_memory(convolution, training("conv.weight"), 1).saved_bytes_per_sample == 400


def test_pooling_takes_nothing_of_its_own_but_the_shortcut_around_it_stays(layer, make_network, training):
    ledger = tinytl_memory(make_network(layer("pool", "other", 100, 25, residual=60)), training(), 3)
    assert ledger.transient_activations == 0
    assert ledger.residual_activations == ledger.activation_bytes == 3 * 240


def test_a_layer_of_another_kind_with_a_weight_is_billed_like_a_linear_one(layer, make_network, training):
    recurrent = make_network(layer("lstm", "other", 100, 30, weight=9, bias=2, macs=50, rate_class="recurrent"))
    ledger = tinytl_memory(recurrent, training("lstm.weight"), 1)
    assert (ledger.transient_activations, ledger.saved_bytes_per_sample) == (520, 400)
    assert tinytl_memory(recurrent, training("lstm.bias"), 1).saved_bytes_per_sample == 0


def test_a_product_of_two_activations_keeps_both_if_anything_below_the_head_trains(layer, make_network, training):
    attention = make_network(layer("scores", "other", 100, 30, macs=50, rate_class="dense_gemm"))
    ledger = tinytl_memory(attention, training(), 1)
    assert (ledger.transient_activations, ledger.saved_bytes_per_sample) == (520, 400)
    assert tinytl_memory(attention, training(requires_backward=False), 1).saved_bytes_per_sample == 0


def test_the_input_of_a_block_with_a_shortcut_adds_to_its_layers_only(layer, make_network, training):
    inside = layer("inside", "convolution", 10, 10, weight=9, residual=50)
    outside = layer("outside", "convolution", 20, 20, weight=9)
    ledger = tinytl_memory(make_network(outside, inside), training(), 1)
    assert ledger.peak_layer == "inside"
    assert ledger.peak_bytes_per_sample == 4 * (10 + 10 + 50)


def test_masks_are_rounded_up_to_bytes_once_for_the_whole_batch(layer, make_network, training):
    summary = make_network(layer("first", "relu", 100, 100), layer("second", "relu", 100, 100))
    assert tinytl_memory(summary, training(), 8).saved_activations == 100
    assert tinytl_memory(summary, training(), 1).saved_activations == 13


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"frozen_bits": 0},
        {"frozen_bits": 33},
        {"activation_bits": 4},
        {"activation_bits": 12},
        {"trainable_bits": 20},
        {"client_vectors": -1},
    ],
)
def test_counts_out_of_range_are_refused(wrong, toy, toy_plans):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        tinytl_memory(toy, toy_plans["full"], **{"batch_size": 8, **wrong})


def test_costs_are_computed_without_torch():
    modules = ", ".join(f"fedtiny.costs.{name}" for name in ("memory_table", "autograd_memory", "mcu_memory", "compute", "energy"))
    program = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
