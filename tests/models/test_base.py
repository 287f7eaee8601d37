import pytest
import torch
from pydantic import ValidationError

from fedtiny.errors import ModelError
from fedtiny.models.base import Model, Pretraining
from fedtiny.models.char_lstm import CharLstm
from fedtiny.models.keyword_cnn import KeywordCnn
from fedtiny.models.linear import Linear
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.mobilenet_v2 import MobileNetV2
from fedtiny.models.proxylessnas import ProxylessNasMobile
from fedtiny.models.python_network import PythonNetwork
from fedtiny.models.small_cnn import SmallCnn

KINDS = [
    Linear(),
    SmallCnn(),
    KeywordCnn(),
    ProxylessNasMobile(),
    MobileNetV2(width=0.5),
    McuNet5Fps(),
    MobileNetV2W035(),
    ProxylessNasW03(),
]
WITHOUT_ROOM = [Linear(), SmallCnn(), KeywordCnn(), CharLstm(), PythonNetwork(path="net.py", name="Net")]


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 64, 64)], ids=str)
@pytest.mark.parametrize("model", KINDS, ids=lambda model: model.kind)
def test_every_kind_takes_every_input_and_learns_from_it(model: Model, shape):
    lite = model.wants_lite_residual(update_trains_lite=model.kind not in ("linear", "small_cnn", "keyword_cnn"))
    network = model.build(shape, 7, lite_residual=lite, generator=torch.Generator().manual_seed(1))
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(2))
    logits = network(images)
    assert logits.shape == (2, 7)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 6])).backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
    assert any(torch.any(gradient != 0) for gradient in gradients)


@pytest.mark.parametrize("model", [*KINDS, *WITHOUT_ROOM[3:]], ids=lambda model: model.kind)
def test_a_model_survives_being_written_and_read(model: Model):
    assert type(model).model_validate(model.to_plain()) == model


@pytest.mark.parametrize("model", WITHOUT_ROOM, ids=lambda model: model.kind)
def test_kinds_without_inverted_bottlenecks_refuse_lite_residual_modules_with_a_remedy(model: Model):
    assert not model.wants_lite_residual(update_trains_lite=False)
    with pytest.raises(ModelError, match=r"cannot carry lite residual modules.*use update: \{kind: tinytl, lite_residual: false\}"):
        model.wants_lite_residual(update_trains_lite=True)
    with pytest.raises(ModelError, match="cannot carry lite residual modules"):
        model.build((1, 8, 8), 2, lite_residual=True, generator=torch.Generator())


@pytest.mark.parametrize("model", WITHOUT_ROOM, ids=lambda model: model.kind)
def test_kinds_without_inverted_bottlenecks_have_no_such_key(model: Model):
    with pytest.raises(ValidationError, match="lite_residual"):
        type(model).model_validate({**model.to_plain(), "lite_residual": True})


def test_pretraining_is_stated_or_read_from_a_file():
    stated = SmallCnn.model_validate({"kind": "small_cnn", "pretrained": {"steps": 50, "classes": [0, 3]}})
    assert stated.pretrained == Pretraining(steps=50, classes=(0, 3), share=0.2, batch_size=64, learning_rate=1e-3)
    assert SmallCnn.model_validate({"kind": "small_cnn", "pretrained": "start.safetensors"}).pretrained == "start.safetensors"


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"share": 1.0}, {"share": 0.0}, {"classes": []}, {"classes": ["0"]}, {"classes": [-1]}, {"epochs": 3}], ids=str
)
def test_pretraining_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Pretraining.model_validate(wrong)


def test_weights_from_imagenet_are_refused_by_kinds_that_have_none_and_not_taken_for_a_file():
    with pytest.raises(ValidationError, match="only model efficientnet_lite0 has weights from imagenet"):
        SmallCnn.model_validate({"kind": "small_cnn", "pretrained": "imagenet"})
