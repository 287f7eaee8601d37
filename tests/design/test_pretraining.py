import numpy as np
import pytest
import torch
from torch import nn

from fedtiny.design.pretraining import Shares, pretrain
from fedtiny.errors import DataError
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
