import torch

from fedtiny.models.linear import Linear
from fedtiny.models.seeded import build_seeded


def weights(seed):
    return torch.cat([value.flatten() for value in build_seeded(Linear(), (1, 2, 2), 3, lite_residual=False, seed=seed).parameters()])


def test_a_networks_values_depend_on_its_seed_alone():
    torch.manual_seed(1)
    first = weights(7)
    torch.manual_seed(2)
    assert torch.equal(first, weights(7))
    assert not torch.equal(first, weights(8))
