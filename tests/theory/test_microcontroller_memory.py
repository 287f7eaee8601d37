"""E1: the published extra memory of the fifteen sparse schemes, and the peak SRAM that was measured of some of them.

Lin et al., arXiv 2206.15472: 3x128x128, 10 classes, batch 1, kB of 1024 bytes.
"""

import functools
import math
import runpy
from pathlib import Path

import pytest
import torch

from fedtiny.costs.extra_memory import extra_memory
from fedtiny.costs.mcu_memory import mcu_memory
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.measure import summarize
from fedtiny.updates.full import Full
from fedtiny.updates.published_sparse import PUBLISHED
from fedtiny.updates.sparse import Sparse
from fedtiny.updates.tinytl import Bias

MODELS = {"mcunet_5fps": McuNet5Fps, "mobilenet_v2_w035": MobileNetV2W035, "proxylessnas_w03": ProxylessNasW03}
FORMS = {"group": {}, "folded": {"normalization": "folded"}, "int8": {"normalization": "folded", "quantization": {"kind": "int8"}}}
HEAD_INPUTS = {"mcunet_5fps": 160, "mobilenet_v2_w035": 112, "proxylessnas_w03": 96}

# Without and with reordering, and the scheme that the label is taken to be of.
MEASURED = {
    "mobilenet_v2_w035_99kb": (335, 141),
    "proxylessnas_w03_98kb": (326, 135),
    "mcunet_5fps_148kb": (560, 173),
}
GOAL = 0.15


@functools.cache
def summary_of(kind, form="folded", size=128):
    network = MODELS[kind](**FORMS[form]).build((3, size, size), 10, lite_residual=False, generator=torch.Generator().manual_seed(0))
    return summarize(network, kind, (3, size, size), 10)


def extra(update, kind="mcunet_5fps", form="folded", batch_size=1):
    return extra_memory(summary_of(kind, form), update.plan(summary_of(kind, form)), batch_size)


def peak(update, kind="mcunet_5fps", batch_size=1, **keys):
    return mcu_memory(summary_of(kind), update.plan(summary_of(kind)), batch_size, **keys).total_bytes


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_e1_every_published_label_is_the_extra_memory_rounded_down(name, form):
    published = PUBLISHED[name]
    assert math.floor(extra(Sparse(scheme=name), published.model, form).kilobytes) == published.kilobytes


@pytest.mark.parametrize(
    ("update", "kilobytes"),
    [
        (Sparse(scheme="mcunet_5fps_49kb"), 49.75),
        (Sparse(scheme="mcunet_5fps_74kb"), 74.81),
        (Sparse(scheme="mcunet_5fps_99kb"), 99.84),
        (Sparse(scheme="mcunet_5fps_124kb"), 124.97),
        (Sparse(scheme="mcunet_5fps_148kb"), 148.41),
        (Sparse(biases=12, weights=dict.fromkeys(range(30, 42), 1)), 448.05),
        (Full(), 1400.4),
        (Bias(), 121.3),
        (Sparse(biases=42), 121.3),
    ],
)
def test_e1_values_of_mcunet(update, kilobytes):
    digits = len(str(kilobytes).split(".")[1])
    assert round(extra(update).kilobytes, digits) == kilobytes


@pytest.mark.parametrize("kind", MODELS)
def test_e1_a_full_update_is_the_scheme_of_all_layers(kind):
    convolutions = {"mcunet_5fps": 42, "mobilenet_v2_w035": 51, "proxylessnas_w03": 60}[kind]
    everything = Sparse(biases=convolutions, weights=dict.fromkeys(range(convolutions), 1))
    for form in FORMS:
        assert extra(everything, kind, form) == extra(Full(), kind, form)


@pytest.mark.parametrize("kind", MODELS)
def test_e1_no_biases_leave_the_input_of_the_head_only(kind):
    assert extra(Sparse(biases=0), kind).bits == 8 * HEAD_INPUTS[kind]


def test_e1_memory_grows_with_depth_with_layers_and_with_ratios():
    for memory in (lambda update: extra(update).bits, peak, lambda update: peak(update, reordering=False)):
        depths = [memory(Sparse(biases=depth)) for depth in range(43)]
        assert depths == sorted(depths)
        layers = [memory(Sparse(biases=21, weights=dict.fromkeys(range(21, last), 0.5))) for last in range(21, 43)]
        assert layers == sorted(layers)
        assert len(set(layers)) > 15
        ratios = [memory(Sparse(biases=21, weights={30: ratio, 24: 0.5})) for ratio in (0, 0.125, 0.25, 0.5, 1)]
        assert ratios == sorted(ratios)
    assert len(set(depths)) == len(depths)


def test_e1_a_ratio_of_0_is_the_bias_only():
    assert extra(Sparse(biases=21, weights={30: 0, 36: 0})) == extra(Sparse(biases=21))


def test_only_activations_grow_with_the_batch():
    one, eight = (extra(Sparse(scheme="mcunet_5fps_99kb"), batch_size=size) for size in (1, 8))
    assert (eight.biases, eight.updated_weights) == (one.biases, one.updated_weights)
    assert (eight.clamp_masks, eight.saved_inputs, eight.head_input) == (8 * one.clamp_masks, 8 * one.saved_inputs, 8 * one.head_input)


@pytest.mark.parametrize("name", MEASURED)
def test_measured_peaks_are_met_within_the_goal_by_one_set_of_assumptions(name):
    update, kind = Sparse(scheme=name), PUBLISHED[name].model
    for reordering, measured in zip((False, True), MEASURED[name], strict=True):
        assert abs(peak(update, kind, reordering=reordering) / 1024 / measured - 1) < GOAL


@pytest.mark.parametrize("name", PUBLISHED)
def test_reordering_never_needs_more_and_a_peak_is_more_than_the_extra_memory_of_the_trained_copies(name):
    update, kind = Sparse(scheme=name), PUBLISHED[name].model
    reordered, waiting, layers = (peak(update, kind, **keys) for keys in ({}, {"reordering": False}, {"patches": False}))
    assert reordered <= waiting
    assert reordered <= layers
    items = extra(update, kind)
    assert reordered > (items.updated_weights + items.biases) / 8


def test_layer_by_layer_the_forward_pass_alone_takes_more_than_the_published_step_of_mobilenet():
    forward = peak(Sparse(biases=0), "mobilenet_v2_w035", patches=False)
    assert 141 < 224 <= forward / 1024 < 250


def test_every_published_scheme_fits_256_kilobytes_with_reordering_and_no_full_update_does():
    assert all(peak(Sparse(scheme=name), scheme.model) < 256 * 1024 for name, scheme in PUBLISHED.items())
    assert all(peak(Full(), kind) > 1024 * 1024 for kind in MODELS)


def test_a_step_goes_forward_through_every_operator_and_back_to_the_first_that_trains():
    summary = summary_of("mcunet_5fps")
    ledger = mcu_memory(summary, Sparse(biases=5).plan(summary), 1, patches=False)
    forward = [moment.layer for moment in ledger.moments if moment.phase == "forward"]
    backward = [moment.layer for moment in ledger.moments if moment.phase == "backward"]
    assert len(forward) == 42 + 1
    assert backward == forward[::-1][: 5 + 1]
    assert ledger.total_bytes == max(moment.total_bytes for moment in ledger.moments)


def test_the_tables_of_the_documentation_are_what_the_benchmark_prints():
    root = Path(__file__).parents[2]
    tables = runpy.run_path(str(root / "benchmarks" / "peak_sram.py"))["tables"]()
    page = (root / "docs" / "mcu_memory.md").read_text(encoding="utf-8")
    assert [table for table in tables.split("\n\n") if table not in page] == []
