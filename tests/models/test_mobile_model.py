import pytest
import torch

from fedtiny.errors import ModelError
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.measure import summarize
from fedtiny.models.mobilenet_v2 import MobileNetV2
from fedtiny.models.proxylessnas import ProxylessNasMobile

CARRIERS = [ProxylessNasMobile, MobileNetV2, McuNet5Fps, MobileNetV2W035, ProxylessNasW03]


@pytest.mark.parametrize("kind", CARRIERS)
def test_an_update_that_trains_lite_residual_modules_brings_them(kind):
    assert kind().wants_lite_residual(update_trains_lite=True)


@pytest.mark.parametrize("kind", CARRIERS)
def test_without_such_an_update_only_proxylessnas_mobile_has_them_by_default(kind):
    assert kind().wants_lite_residual(update_trains_lite=False) == (kind is ProxylessNasMobile)


@pytest.mark.parametrize("kind", CARRIERS)
def test_what_the_model_says_about_them_is_done(kind):
    assert kind(lite_residual=True).wants_lite_residual(update_trains_lite=False)
    assert not kind(lite_residual=False).wants_lite_residual(update_trains_lite=False)


@pytest.mark.parametrize("kind", CARRIERS)
def test_a_model_that_refuses_what_the_update_trains_is_an_error_with_a_remedy(kind):
    with pytest.raises(ModelError, match=r"lite_residual: false: remove that key or use update: \{kind: tinytl, lite_residual: false\}"):
        kind(lite_residual=False).wants_lite_residual(update_trains_lite=True)


@pytest.mark.parametrize("kind", CARRIERS)
def test_a_folded_network_carries_no_lite_residual_modules(kind):
    assert not kind(normalization="folded").wants_lite_residual(update_trains_lite=False)
    for model, trained in ((kind(normalization="folded"), True), (kind(normalization="folded", lite_residual=True), False)):
        with pytest.raises(ModelError, match=r"use update: \{kind: bias\} without lite_residual: true, or normalization: group"):
            model.wants_lite_residual(update_trains_lite=trained)


@pytest.mark.parametrize(("kind", "convolutions"), [(McuNet5Fps, 42), (MobileNetV2W035, 51), (ProxylessNasW03, 60)])
def test_a_folded_network_consists_of_convolutions_with_bias_and_relu6(kind, convolutions):
    model = kind(normalization="folded")
    network = model.build((3, 32, 32), 10, lite_residual=False, generator=torch.Generator().manual_seed(1))
    layers = summarize(network, model.kind, (3, 32, 32), 10).layers
    found = [layer for layer in layers if layer.operator == "convolution"]
    assert len(found) == convolutions
    assert {layer.operator for layer in layers} == {"convolution", "relu", "linear"}
    for layer in found:
        weight, bias = layer.parameters
        assert (weight.role, bias.role) == ("weight", "bias")
        assert (len(weight.shape), bias.shape) == (4, weight.shape[:1])
