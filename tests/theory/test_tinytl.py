"""TinyTL as published: what trains, what it computes, what it takes (arXiv 2007.11622 and the authors' program).

The network of the golden table is ProxylessNAS-Mobile with lite residual modules, group norm and 102 classes.
"""

import functools

import pytest
import torch
from torch import nn

from fedtiny.costs.memory import tinytl_memory
from fedtiny.costs.memory_table import SchemeMemory, memory_table
from fedtiny.models.lite_residual import LiteResidual
from fedtiny.models.mcunet import McuNet5Fps
from fedtiny.models.measure import summarize
from fedtiny.models.proxylessnas import ProxylessNasMobile
from fedtiny.models.weight_standardized_convolution import EPSILON, WeightStandardizedConvolution
from fedtiny.updates.schemes import SCHEMES

# trainable parameters, parameter bytes, peak bytes per sample, MB at 224x224 with batch 8, the paper's MB, MB of one upload in float32
GOLDEN = {
    "last": (130_662, 5_138_576, 3_211_264, "30.83", "31", "0.523"),
    "bias": (151_638, 5_201_504, 3_311_616, "31.69", "32", "0.607"),
    "tinytl_lite_residual": (1_947_078, 10_587_824, 3_311_616, "37.08", "37", "7.788"),
    "tinytl": (1_962_310, 10_633_520, 3_311_616, "37.13", "37", "7.849"),
    "norm_last": (172_614, 5_264_432, 23_394_621, "192.42", "192", "0.690"),
    "full": (4_746_590, 18_986_360, 46_482_141, "390.84", "391", "18.986"),
}
SAVED = {
    "last": 5_120,
    "bias": 604_221,
    "tinytl_lite_residual": 2_666_365,
    "tinytl": 2_666_365,
    "norm_last": 23_156_701,
    "full": 46_244_221,
}
INFERENCE_PEAK = ("last", "bias", "tinytl_lite_residual", "tinytl")


def build(model, size, classes=102, *, lite_residual=True, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return model.build((3, size, size), classes, lite_residual=lite_residual, generator=generator)


@functools.cache
def golden_summary(size=224):
    return summarize(build(ProxylessNasMobile(), size), "proxylessnas_mobile", (3, size, size), 102)


@functools.cache
def golden_plans():
    return {plan.scheme: plan for plan in (update.plan(golden_summary()) for update in SCHEMES)}


def golden_ledger(scheme, batch_size=8, size=224, **given):
    return tinytl_memory(golden_summary(size), golden_plans()[scheme], batch_size, **given)


def megabytes(size, digits):
    return f"{size / 1e6:.{digits}f}"


def apply(plan, network):
    """Sets requires_grad as the plan says."""
    trained = set(plan.trainable)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)


def images(batch_size, size, seed=1, dtype=torch.float32):
    return torch.randn(batch_size, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gradients(network, inputs):
    targets = torch.arange(len(inputs))
    network.zero_grad()
    nn.functional.cross_entropy(network(inputs), targets).backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def small_summary_and_network(size=32, dtype=torch.float32):
    network = build(McuNet5Fps(), size, classes=10)
    return summarize(network, "mcunet_5fps", (3, size, size), 10), network.to(dtype)


def wake_lite_modules(network):
    """Gives the last norms of the lite modules, which start at gamma 0, other values, so that all parameters get gradients."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, LiteResidual):
                module.final_norm.weight.uniform_(0.5, 1.5, generator=generator)


# C1, C2: a new lite residual module


@pytest.mark.parametrize(("model", "size"), [(ProxylessNasMobile(), 64), (McuNet5Fps(), 32), (McuNet5Fps(), 8)], ids=repr)
def test_a_new_lite_module_adds_exactly_nothing(model, size):
    inputs = images(4, size)
    with_lite, without = build(model, size), build(model, size, lite_residual=False)
    assert any(isinstance(module, LiteResidual) for module in with_lite.modules())
    assert torch.equal(with_lite(inputs), without(inputs))


def test_the_first_step_moves_only_the_last_norm_of_a_lite_module():
    summary, network = small_summary_and_network()
    lite = {layer.name: layer for layer in summary.layers if layer.section == "lite_residual" and layer.parameters}
    found = gradients(network, images(4, 32))
    for layer in lite.values():
        for parameter in layer.parameters:
            assert (found[parameter.name].abs().max() > 0) == layer.final_in_lite, parameter.name


def test_tinytl_leaves_the_last_beta_of_a_lite_module_without_gradient():
    summary, network = small_summary_and_network()
    plans = {plan.scheme: plan for plan in (update.plan(summary) for update in SCHEMES)}
    last_norms = [layer for layer in summary.layers if layer.final_in_lite]
    assert len(last_norms) == 13
    apply(plans["tinytl"], network)
    found = gradients(network, images(4, 32))
    for layer in last_norms:
        gamma, beta = (next(parameter.name for parameter in layer.parameters if parameter.role == role) for role in ("weight", "bias"))
        assert found[gamma].abs().max() > 0
        assert found[beta] is None


# C3, C5: frozen means frozen


@pytest.mark.parametrize("update", SCHEMES, ids=repr)
def test_exactly_the_trainable_tensors_change(update):
    summary, network = small_summary_and_network()
    wake_lite_modules(network)
    plan = update.plan(summary)
    apply(plan, network)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.SGD((parameter for parameter in network.parameters() if parameter.requires_grad), lr=0.05)
    for step in range(3):
        gradients(network, images(4, 32, seed=step))
        optimizer.step()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == set(plan.trainable)


@pytest.mark.parametrize("update", SCHEMES, ids=repr)
def test_freezing_never_changes_the_gradients_of_what_remains(update):
    summary, network = small_summary_and_network(dtype=torch.float64)
    wake_lite_modules(network)
    inputs = images(4, 32, dtype=torch.float64)
    everything = gradients(network, inputs)
    plan = update.plan(summary)
    apply(plan, network)
    some = gradients(network, inputs)
    assert {name for name, gradient in some.items() if gradient is not None} == set(plan.trainable)
    for name in plan.trainable:
        torch.testing.assert_close(some[name], everything[name], rtol=1e-12, atol=1e-12)


# C4: what trains


@pytest.mark.parametrize("scheme", GOLDEN)
def test_the_number_of_trainable_parameters_is_the_published_one(scheme):
    assert golden_plans()[scheme].trainable_elements(golden_summary()) == GOLDEN[scheme][0]


def test_the_golden_network_has_the_published_number_of_parameters():
    elements = {"backbone": 0, "lite_residual": 0, "head": 0}
    for layer in golden_summary().layers:
        elements[layer.section] += sum(parameter.elements for parameter in layer.parameters)
    assert elements == {"backbone": 2_799_512, "lite_residual": 1_816_416, "head": 130_662}


def test_the_schemes_include_each_other_as_published():
    trained = {scheme: set(plan.trainable) for scheme, plan in golden_plans().items()}
    assert all(trained["last"] < trained[scheme] for scheme in GOLDEN if scheme != "last")
    assert trained["bias"] < trained["norm_last"] < trained["full"]
    assert trained["tinytl"] < trained["full"]
    last_betas = {parameter.name for layer in golden_summary().layers if layer.final_in_lite for parameter in layer.parameters}
    last_betas = {name for name in last_betas if name in trained["bias"]}
    assert len(last_betas) == 19
    assert trained["bias"] - trained["tinytl"] == last_betas
    assert trained["tinytl_lite_residual"] - trained["tinytl"] == last_betas


def test_plans_name_the_parameters_of_the_network_itself():
    network = build(ProxylessNasMobile(), 32)
    assert set(golden_plans()["full"].trainable) == {name for name, _ in network.named_parameters()}


# C6: memory


@pytest.mark.parametrize("scheme", GOLDEN)
def test_memory_equals_the_golden_table_in_every_digit(scheme):
    trainable, parameter_bytes, peak, memory, published, upload = GOLDEN[scheme]
    ledger = golden_ledger(scheme)
    assert ledger.parameter_bytes == parameter_bytes
    assert ledger.peak_bytes_per_sample == peak
    assert ledger.saved_bytes_per_sample == SAVED[scheme]
    assert ledger.total_bytes == parameter_bytes + 8 * peak
    assert (megabytes(ledger.total_bytes, 2), megabytes(ledger.total_bytes, 0)) == (memory, published)
    assert megabytes(4 * trainable, 3) == upload


def test_the_table_of_the_memory_command_holds_the_golden_numbers():
    schemes = [SchemeMemory(golden_summary(), plan, {"tinytl": golden_ledger(name).ledger}) for name, plan in golden_plans().items()]
    rows = memory_table(schemes, batch_size=8)["schemes"]
    for row in rows:
        trainable, parameter_bytes, peak, *_ = GOLDEN[row["update"]]
        assert row["trainable_parameters"] == trainable
        assert (row["parameter_bytes"], row["activation_bytes"], row["total_bytes"]) == (
            parameter_bytes,
            8 * peak,
            parameter_bytes + 8 * peak,
        )


@pytest.mark.parametrize(("scheme", "share"), [("full", "95.1"), ("norm_last", "97.3"), ("tinytl", "71.4")])
def test_activations_take_the_published_share(scheme, share):
    ledger = golden_ledger(scheme)
    assert f"{100 * ledger.activation_bytes / ledger.total_bytes:.1f}" == share


def test_tinytl_at_320_takes_the_published_65_megabytes():
    assert megabytes(golden_ledger("tinytl", size=320).total_bytes, 0) == "65"


def test_the_peak_of_the_cheap_schemes_is_the_inference_peak_of_the_second_block():
    convolutions = (layer for layer in golden_summary().layers if layer.operator == "convolution")
    widest = max(convolutions, key=lambda layer: layer.input_elements + layer.output_elements // layer.groups)
    assert (widest.input_elements, widest.output_elements) == (16 * 112 * 112, 48 * 112 * 112)
    assert {golden_ledger(scheme).peak_layer for scheme in INFERENCE_PEAK} == {widest.name}
    assert golden_ledger("bias").peak_bytes_per_sample - golden_ledger("last").peak_bytes_per_sample == 100_352


def test_the_schemes_are_ordered_in_memory_as_published():
    memory = {scheme: golden_ledger(scheme).total_bytes for scheme in GOLDEN}
    assert memory["last"] <= memory["bias"] <= memory["tinytl"] <= memory["full"]
    assert memory["bias"] <= memory["norm_last"] <= memory["full"]


@pytest.mark.parametrize("scheme", GOLDEN)
def test_memory_is_affine_in_the_batch(scheme):
    _, parameter_bytes, peak, *_ = GOLDEN[scheme]
    for batch_size in (1, 2, 3, 16, 100):
        assert golden_ledger(scheme, batch_size).total_bytes == parameter_bytes + batch_size * peak


@pytest.mark.parametrize("scheme", INFERENCE_PEAK)
@pytest.mark.parametrize("size", [112, 128, 160])
def test_the_inference_peak_grows_fourfold_when_height_and_width_double(scheme, size):
    small, large = (golden_ledger(scheme, size=side).peak_bytes_per_sample for side in (size, 2 * size))
    assert large == 4 * small


def test_a_smooth_activation_makes_every_mask_32_times_larger():
    network = build(ProxylessNasMobile(), 224)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU | nn.ReLU6):
                setattr(module, name, nn.Hardswish())
    smooth = tinytl_memory(summarize(network, "smooth", (3, 224, 224), 102), golden_plans()["bias"], 1)
    head_input = SAVED["last"]
    assert smooth.saved_bytes_per_sample - head_input == 32 * (SAVED["bias"] - head_input)


@pytest.mark.parametrize("scheme", GOLDEN)
def test_frozen_parameters_at_4_bits_save_half_a_byte_each(scheme):
    frozen = GOLDEN["full"][0] - GOLDEN[scheme][0]
    assert golden_ledger(scheme).total_bytes - golden_ledger(scheme, frozen_bits=4).total_bytes == frozen // 2


# C7: a toy network, worked out by hand

TOY = {"last": (1792, 16, 156, 1948), "bias": (1792, 48, 168, 1960), "norm_last": (2048, 1072, 180, 2228), "full": (2816, 1840, 504, 3320)}


@pytest.mark.parametrize("scheme", TOY)
def test_a_measured_toy_network_takes_what_was_worked_out_by_hand(scheme):
    layers = (
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.GroupNorm(1, 4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    summary = summarize(nn.Sequential(*layers), "toy", (3, 8, 8), 2)
    plans = {update.kind: update.plan(summary) for update in SCHEMES if update.kind != "tinytl"}
    ledger = tinytl_memory(summary, plans[scheme], 1)
    found = ledger.peak_bytes_per_sample, ledger.saved_bytes_per_sample, ledger.parameter_bytes, ledger.total_bytes
    assert found == TOY[scheme]


# C8, C9: group norm and weight standardisation


def test_the_output_of_a_sample_does_not_depend_on_the_rest_of_the_batch():
    _, network = small_summary_and_network(dtype=torch.float64)
    wake_lite_modules(network)
    batch = images(8, 32, dtype=torch.float64)
    torch.testing.assert_close(network(batch[3:4]), network(batch)[3:4], rtol=1e-12, atol=1e-12)


def test_with_batch_norm_it_would():
    norm, batch = nn.BatchNorm2d(3).double(), images(8, 32, dtype=torch.float64)
    assert not torch.allclose(norm(batch[3:4]), norm(batch)[3:4], rtol=1e-3)


def standardized_convolution(groups=1):
    convolution = WeightStandardizedConvolution(6, 4, 3, groups=groups).double()
    with torch.no_grad():
        convolution.weight.normal_(generator=torch.Generator().manual_seed(3))
    return convolution, torch.randn(2, 6, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_constant_added_to_the_weight_of_an_output_channel_changes_nothing(groups):
    convolution, inputs = standardized_convolution(groups)
    before = convolution(inputs)
    with torch.no_grad():
        convolution.weight += torch.tensor([1.0, -2.0, 0.5, 7.0], dtype=torch.float64)[:, None, None, None]
    torch.testing.assert_close(convolution(inputs), before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_positive_factor_on_the_weight_changes_the_output_through_epsilon_only(groups):
    convolution, inputs = standardized_convolution(groups)
    before = convolution(inputs)
    spread = convolution.weight.detach().flatten(1).std(1)
    factor = torch.tensor([0.5, 2.0, 3.0, 10.0], dtype=torch.float64)
    with torch.no_grad():
        convolution.weight *= factor[:, None, None, None]
    expected = before * (factor * (spread + EPSILON) / (factor * spread + EPSILON))[:, None, None]
    torch.testing.assert_close(convolution(inputs), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(convolution(inputs), before, rtol=1e-4, atol=1e-4)
