import pytest

from fedtiny.costs.inference_memory import inference_memory
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.measure import summarize
from fedtiny.models.mobile_network import MobileNetwork


def by_hand(architecture, side, classes, *, in_place):
    """Every buffer of the network, from its shapes alone."""
    channels, side, peaks = architecture.stem.out_channels, -(-side // architecture.stem.stride), [0]
    peaks.append(3 * (side * architecture.stem.stride) ** 2 + channels * side**2)
    for block in architecture.blocks:
        small = -(-side // block.stride)
        first, wide, narrow = block.in_channels * side**2, block.mid_channels * side**2, block.mid_channels * small**2
        held = first if block.residual else 0
        peaks.append(first + wide if block.has_expand else 0)
        overwritten = held if block.has_expand or in_place else 0
        peaks.append(overwritten + (wide + side**2 if in_place else wide + narrow))
        peaks.append(held + narrow + block.out_channels * small**2)
        channels, side = block.out_channels, small
    mix = architecture.feature_mix or channels
    peaks += [(channels + mix) * side**2 if architecture.feature_mix else 0, mix * side**2 + mix, mix + classes]
    return max(peaks)


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("model", [McuNet5Fps, MobileNetV2W035, ProxylessNasW03])
def test_the_peak_of_the_catalog_networks_is_that_by_hand(model, in_place):
    architecture = model().architecture()
    network = MobileNetwork(architecture, 3, 10, lite_residual=False)
    summary = summarize(network, architecture.name, (3, 128, 128), 10)
    assert inference_memory(summary, in_place=in_place).total_bytes == by_hand(architecture, 128, 10, in_place=in_place)


def test_the_peak_of_a_chain_is_its_largest_input_and_output(toy):
    assert [moment.total_bytes for moment in inference_memory(toy).moments] == [192 + 256, 256 + 4, 4 + 2]
    assert (inference_memory(toy).total_bytes, inference_memory(toy).peak_layer) == (448, "conv")


def block(layer, make_network, residual, wide=24):
    expand = [layer("expand", "convolution", 8, wide, residual=residual)] if wide != 8 else []
    depthwise = layer("depthwise", "convolution", wide, wide, groups=4, rate_class="depthwise", residual=residual)
    return make_network(*expand, depthwise, layer("project", "convolution", wide, 8, residual=residual))


def occupied(ledger):
    return [tuple(moment.items.values()) for moment in ledger.moments]


def test_a_shortcut_holds_its_block_s_input_and_in_place_a_depthwise_convolution_needs_one_channel_more(layer, make_network):
    network = block(layer, make_network, 8)
    assert occupied(inference_memory(network, in_place=False)) == [(32, 0), (48, 8), (32, 8)]
    assert occupied(inference_memory(network)) == [(32, 0), (24 + 6, 8), (32, 8)]


def test_a_shortcut_never_lowers_the_peak(layer, make_network):
    for in_place in (True, False):
        with_shortcut, without = (inference_memory(block(layer, make_network, size), in_place=in_place) for size in (8, 0))
        assert with_shortcut.total_bytes > without.total_bytes


def test_without_expansion_computing_in_place_costs_a_copy_of_the_block_s_input(layer, make_network):
    network = block(layer, make_network, 8, wide=8)
    assert occupied(inference_memory(network, in_place=False)) == [(16, 0), (16, 8)]
    assert occupied(inference_memory(network)) == [(8 + 2, 8), (16, 8)]


def test_bytes_grow_with_the_batch_and_the_width(toy):
    assert inference_memory(toy, 3, activation_bytes=4).total_bytes == 12 * 448


def test_what_cannot_be_walked_is_refused(toy, layer, make_network):
    with pytest.raises(ValueError, match="at least 1 sample"):
        inference_memory(toy, 0)
    with pytest.raises(ValueError, match="lite residual"):
        inference_memory(make_network(layer("lite", "convolution", 8, 8, section="lite_residual")))
