import pytest

from fedtiny.costs.mcu_memory import Widths, mcu_memory


def occupied(ledger):
    """layer, phase, and the items that change along the step: saved, transient, residual, gradients."""
    names = ("saved_activations", "transient_activations", "residual_activations", "gradients")
    return [(moment.layer, moment.phase, *(moment.items[name] for name in names)) for moment in ledger.moments]


def test_a_full_step_by_hand(toy, toy_plans):
    """Convolution 192 -> 256, pooling 256 -> 4, head 4 -> 2; saved: 192 bytes of input, 256 bits of masks, 16 bytes of the head's."""
    ledger = mcu_memory(toy, toy_plans["full"], 1)
    assert occupied(ledger) == [
        ("conv", "forward", 0, 192 + 256, 0, 0),
        ("pool", "forward", 192 + 32, 256 + 4, 0, 0),
        ("fc", "forward", 192 + 32, 4 + 4 * 2, 0, 0),
        ("fc", "backward", 192 + 32 + 16, 4 * (2 + 4), 0, 4 * (8 + 2)),
        ("pool", "backward", 192 + 32, 4 + 256, 0, 0),
        ("conv", "backward", 192 + 32, 256, 0, 4 * 4),
    ]
    assert {moment.items["trainable_parameters"] for moment in ledger.moments} == {108 + 4 * 4 + 4 * (8 + 2)}


def test_the_ledger_is_that_of_its_largest_moment(toy, toy_plans):
    ledger = mcu_memory(toy, toy_plans["full"], 1)
    assert (ledger.accounting, ledger.peak_layer) == ("mcu", "conv")
    assert ledger.total_bytes == max(moment.total_bytes for moment in ledger.moments) == 164 + 256 + 224 + 16


def test_without_reordering_gradients_wait_in_32_bits_for_the_update_at_the_end(toy, toy_plans):
    ledger = mcu_memory(toy, toy_plans["full"], 1, reordering=False)
    gradients = [(layer, phase, waiting) for layer, phase, *_, waiting in occupied(ledger) if phase != "forward"]
    head, convolution = 4 * (8 + 2), 4 * (108 + 4)
    assert gradients == [
        ("fc", "backward", head),
        ("pool", "backward", head),
        ("conv", "backward", head + convolution),
        ("conv", "update", head + convolution),
    ]


def test_widths_of_gradients_are_what_one_says(toy, toy_plans):
    wide = mcu_memory(toy, toy_plans["full"], 1, widths=Widths(activation_gradient=4, weight_gradient=1))
    assert occupied(wide)[-1] == ("conv", "backward", 224, 4 * 256, 0, 108 + 16)


def test_the_frozen_part_in_patches_holds_the_input_and_what_it_hands_on(toy, toy_plans):
    patched, layers = (occupied(mcu_memory(toy, toy_plans["last"], 1, patches=patches)) for patches in (True, False))
    assert layers[:2] == [("conv", "forward", 0, 192 + 256, 0, 0), ("pool", "forward", 0, 256 + 4, 0, 0)]
    assert patched[:2] == [("pool", "forward", 0, 192 + 4, 0, 0), ("fc", "forward", 0, 12, 0, 0)]
    assert patched[1:] == layers[2:]


def test_only_the_head_goes_back_where_only_the_head_trains(toy, toy_plans):
    assert [layer for layer, phase, *_ in occupied(mcu_memory(toy, toy_plans["last"], 1)) if phase == "backward"] == ["fc"]


@pytest.fixture
def block(layer, make_network):
    """A stem, then a block 8 -> 24 -> 24 -> 8 with a shortcut, the middle one depthwise with 6 channels."""
    return make_network(
        layer("stem", "convolution", 12, 8, weight=3, bias=1),
        layer("expand", "convolution", 8, 24, weight=5, bias=1, upstream=(0,), residual=8),
        layer("depthwise", "convolution", 24, 24, weight=6, bias=1, upstream=(0, 1), groups=6, rate_class="depthwise", residual=8),
        layer("project", "convolution", 24, 8, weight=5, bias=1, upstream=(0, 1, 2), residual=8),
        layer("fc", "linear", 8, 2, weight=16, bias=2, upstream=(0, 1, 2, 3), section="head"),
    )


BIASES = ("stem.bias", "expand.bias", "depthwise.bias", "project.bias", "fc.weight", "fc.bias")


def test_a_shortcut_holds_the_input_of_its_block_until_it_is_added(block, training):
    held = {(layer, phase): residual for layer, phase, _, _, residual, _ in occupied(mcu_memory(block, training(*BIASES), 1))}
    assert [held[layer, "forward"] for layer in ("stem", "expand", "depthwise", "project", "fc")] == [0, 0, 8, 8, 0]
    assert [held[layer, "backward"] for layer in ("fc", "project", "depthwise", "expand", "stem")] == [0, 0, 8, 8, 0]


def test_a_shortcut_holds_nothing_more_where_the_input_of_its_block_is_saved_whole(block, training):
    plan = training("expand.weight", *BIASES)
    held = [residual for _, phase, _, _, residual, _ in occupied(mcu_memory(block, plan, 1)) if phase == "forward"]
    assert held == [0] * 5


def test_a_depthwise_convolution_computes_in_place(block, training):
    transient = {(layer, phase): size for layer, phase, _, size, _, _ in occupied(mcu_memory(block, training(*BIASES), 1))}
    assert transient["expand", "forward"] == 8 + 24
    assert transient["depthwise", "forward"] == 24 + 24 // 6
    assert transient["depthwise", "backward"] == 24
    assert transient["expand", "backward"] == 8 + 24


def test_activations_grow_with_the_batch_and_parameters_do_not(toy, toy_plans):
    one, five = (mcu_memory(toy, toy_plans["full"], size) for size in (1, 5))
    for small, large in zip(one.moments, five.moments, strict=True):
        assert large.items["transient_activations"] == 5 * small.items["transient_activations"]
        assert large.items["saved_activations"] == 5 * small.items["saved_activations"]
        assert large.items["trainable_parameters"] == small.items["trainable_parameters"]
        assert large.items["gradients"] == small.items["gradients"]


def test_vectors_of_a_strategy_are_there_all_the_time(toy, toy_plans):
    ledger = mcu_memory(toy, toy_plans["bias"], 1, client_vectors=3, vector_element_bytes=8)
    assert {moment.items["client_vectors"] for moment in ledger.moments} == {3 * 8 * (4 + 8 + 2)}


@pytest.mark.parametrize("keys", [{"batch_size": 0}, {"batch_size": 1, "client_vectors": -1}])
def test_counts_out_of_range_are_refused(toy, toy_plans, keys):
    with pytest.raises(ValueError, match=r"at least 1 sample|0 or more vectors"):
        mcu_memory(toy, toy_plans["full"], **keys)
