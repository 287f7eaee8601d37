import pytest
import torch
from pydantic import ValidationError

from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.measure import summarize
from fedtiny.models.mobile_model import MobileModel
from fedtiny.models.mobilenet_v2 import MobileNetV2
from fedtiny.models.quantized_network import parameter_scales, quantized_convolutions, set_rounding
from fedtiny.models.summary import ModelSummary

INT8 = {"normalization": "folded", "quantization": {"kind": "int8"}}


def facts(model: MobileModel) -> ModelSummary:
    network = model.build((3, 32, 32), 10, lite_residual=False, generator=torch.Generator().manual_seed(1))
    return summarize(network, model.kind, (3, 32, 32), 10)


@pytest.mark.parametrize(("kind", "convolutions", "additions"), [(McuNet5Fps, 42, 7), (MobileNetV2W035, 51, 10), (ProxylessNasW03, 60, 13)])
def test_its_layers_are_those_of_the_folded_network_and_a_clamp_behind_each_convolution_and_sum(kind, convolutions, additions):
    own, folded = facts(kind.model_validate({"kind": kind().kind, **INT8})), facts(kind(normalization="folded"))
    of_integers = [layer for layer in own.layers if layer.operator == "convolution"]
    assert [(layer.name, layer.macs, layer.groups, layer.parameters, layer.residual_elements) for layer in of_integers] == [
        (layer.name, layer.macs, layer.groups, layer.parameters, layer.residual_elements)
        for layer in folded.layers
        if layer.operator == "convolution"
    ]
    assert len(of_integers) == convolutions
    assert sum(layer.operator == "relu" for layer in own.layers) == convolutions + additions
    assert own.layers[-1].section == "head"
    assert own.forward_macs == folded.forward_macs
    assert own.parameters == folded.parameters


def test_a_feature_mix_is_quantised_too():
    own = facts(MobileNetV2.model_validate({"kind": "mobilenet_v2", "width": 0.35, **INT8}))
    assert own.layers[-4].name == "feature_mix.convolution"


def test_only_a_folded_network_can_be_quantised():
    with pytest.raises(ValidationError, match="add normalization: folded"):
        McuNet5Fps.model_validate({"kind": "mcunet_5fps", "quantization": {"kind": "int8"}})


def test_its_head_is_that_of_the_folded_network_and_until_it_is_filled_its_convolutions_are_zero():
    networks = [
        McuNet5Fps.model_validate({"kind": "mcunet_5fps", **more}).build(
            (3, 32, 32), 10, lite_residual=False, generator=torch.Generator().manual_seed(4)
        )
        for more in (INT8, {"normalization": "folded"})
    ]
    assert torch.equal(networks[0].head.weight, networks[1].head.weight)
    assert not any(bool(module.weight.any()) for _, module in quantized_convolutions(networks[0]))


def test_every_parameter_of_a_convolution_has_a_scale_and_the_head_has_none(quantized_pair):
    scales = parameter_scales(quantized_pair.integer)
    names = {name for name, _ in quantized_pair.integer.named_parameters()}
    assert names - scales.keys() == {"head.weight", "head.bias"}
    weight = quantized_pair.integer.get_parameter("stem.convolution.weight")
    real = quantized_pair.real.get_parameter("stem.convolution.weight")
    assert float((weight * scales["stem.convolution.weight"] - real).detach().abs().max()) < 0.01


@torch.no_grad()
def test_rounding_can_be_taken_out_and_put_back(quantized_pair):
    network, inputs = quantized_pair.integer, quantized_pair.images(2)
    before = network(inputs)
    set_rounding(network, rounds=False)
    assert not torch.equal(network(inputs), before)
    set_rounding(network, rounds=True)
    assert torch.equal(network(inputs), before)
