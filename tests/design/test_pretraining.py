import numpy as np
import pytest
import torch
from torch import nn

from fedtiny.design.pretraining import Shares, pretrain
from fedtiny.errors import DataError, ModelError
from fedtiny.models.base import Pretraining
from fedtiny.models.mcunet import McuNet5Fps
from fedtiny.randomness import Streams
from fedtiny.training.local import Examples


def network() -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    return McuNet5Fps(normalization="folded").build((1, 16, 16), 2, lite_residual=False, generator=generator)


def stripes(count: int) -> Examples:
    """Two classes that a convolution tells apart: horizontal and vertical stripes, with noise."""
    generator = torch.Generator().manual_seed(2)
    targets = torch.arange(count) % 2
    wave = torch.sin(torch.arange(16) * 1.5)
    clean = torch.where(targets[:, None, None] == 1, wave[None, :, None], wave[None, None, :]).unsqueeze(1)
    return Examples(clean.expand(count, 1, 16, 16) + 0.2 * torch.randn(count, 1, 16, 16, generator=generator), targets)


def trained(public: int, **recipe: object) -> tuple[nn.Module, Examples]:
    examples, made = stripes(80), network()
    shares = Shares(np.arange(public), np.arange(public, 80))
    pretrain(
        made, examples, shares, Pretraining.model_validate({"steps": 40, "batch_size": 20, "learning_rate": 0.003, **recipe}), Streams(1)
    )
    return made, examples


def test_a_folded_network_learns_by_way_of_its_twin():
    made, examples = trained(40)
    with torch.no_grad():
        correct = made(examples.inputs[40:]).argmax(1) == examples.targets[40:]
    assert float(correct.float().mean()) > 0.9
    assert sorted(name for name, _ in made.named_parameters()) == sorted(name for name, _ in network().named_parameters())


def test_the_same_recipe_gives_the_same_values():
    first, again = trained(40, steps=4)[0].state_dict(), trained(40, steps=4)[0].state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.convolution.bias"], torch.zeros(first["stem.convolution.bias"].shape))


def test_an_epoch_whose_end_is_one_example_is_trained_without_it():
    trained(33, steps=6)


@pytest.mark.parametrize(("public", "recipe"), [(1, {}), (40, {"batch_size": 1})])
def test_one_example_has_no_statistics_and_is_refused(public, recipe):
    with pytest.raises(DataError, match="batches of at least 2 examples"):
        trained(public, **recipe)


@pytest.mark.parametrize("norm", ["folded", "group"])
def test_inside_wider_networks_it_learns_too_and_stays_as_small(norm):
    examples = stripes(80)
    made = McuNet5Fps(normalization=norm).build((1, 16, 16), 2, lite_residual=False, generator=torch.Generator().manual_seed(1))
    before = {name: value.shape for name, value in made.state_dict().items()}
    recipe = Pretraining.model_validate({"steps": 40, "batch_size": 20, "learning_rate": 0.003, "netaug": {}})
    pretrain(made, examples, Shares(np.arange(40), np.arange(40, 80)), recipe, Streams(1))
    with torch.no_grad():
        correct = made(examples.inputs[40:]).argmax(1) == examples.targets[40:]
    assert float(correct.float().mean()) > 0.9
    assert {name: value.shape for name, value in made.state_dict().items()} == before


def test_augmentation_without_a_wider_network_trains_as_usual():
    alone = {"width": [1.0], "expansion": [1.0], "alpha": 0.0, "sort_channels": False}
    plain, augmented = trained(40, steps=3)[0].state_dict(), trained(40, steps=3, netaug=alone)[0].state_dict()
    for name, value in plain.items():
        torch.testing.assert_close(augmented[name], value, rtol=1e-5, atol=1e-6)


def test_augmentation_of_another_network_is_refused():
    recipe = Pretraining.model_validate({"steps": 1, "netaug": {}})
    with pytest.raises(ModelError, match="mobile networks"):
        pretrain(nn.Sequential(nn.Flatten(), nn.Linear(256, 2)), stripes(20), Shares(np.arange(10), np.arange(10, 20)), recipe, Streams(1))


def test_augmentation_keeps_the_tiny_network_among_its_factors():
    with pytest.raises(ValueError, match="the tiny network itself"):
        Pretraining.model_validate({"netaug": {"width": [1.6, 2.2]}})
