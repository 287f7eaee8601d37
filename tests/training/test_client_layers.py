"""A layer for many clients gives what the plain layer gives each of them, whichever of its parameters differ and which are frozen."""

from itertools import chain, combinations

import pytest
import torch
from torch import nn

from fedtiny.models.folded_convolution import FoldedConvolution
from fedtiny.models.frozen_batch_normalization import FrozenBatchNormalization
from fedtiny.models.same_padded_convolution import SamePaddedConvolution
from fedtiny.models.weight_standardized_convolution import WeightStandardizedConvolution
from fedtiny.training.client_layers import CONVOLUTIONS, NORMS, client_layer

CLIENTS, BATCH = 3, 4
LAYERS = {
    "linear": (lambda: nn.Linear(6, 5), (6,)),
    "linear_without_bias": (lambda: nn.Linear(6, 5, bias=False), (6,)),
    "conv1d": (lambda: nn.Conv1d(6, 4, 3, padding=1), (6, 7)),
    "conv": (lambda: nn.Conv2d(6, 4, 3, stride=2, padding=1), (6, 5, 5)),
    "pointwise": (lambda: nn.Conv2d(6, 4, 1), (6, 5, 5)),
    "depthwise": (lambda: nn.Conv2d(6, 6, 3, padding=1, groups=6), (6, 5, 5)),
    "depthwise_on_a_pixel": (lambda: nn.Conv2d(6, 6, 3, padding=1, groups=6), (6, 1, 1)),
    "same_padded": (lambda: SamePaddedConvolution(6, 4, 3, stride=2), (6, 6, 6)),
    "standardized": (lambda: WeightStandardizedConvolution(6, 4, 3, groups=2), (6, 5, 5)),
    "group_norm": (lambda: nn.GroupNorm(2, 6), (6, 5, 5)),
    "frozen_batch_norm": (lambda: FrozenBatchNormalization(6), (6, 5, 5)),
    "folded": (lambda: FoldedConvolution(6, 4, 3), (6, 5, 5)),
}


def randomized(layer, generator):
    for value in chain(layer.parameters(), layer.buffers()):
        value.data = torch.rand(value.shape, generator=generator, dtype=torch.float64) + 0.5
    return layer.double()


def cases():
    for name, (make, _) in LAYERS.items():
        names = [one for one, _ in make().named_parameters()]
        for own in chain.from_iterable(combinations(names, count) for count in range(1, len(names) + 1)):
            yield pytest.param(name, own, id=f"{name}-{'+'.join(own)}")


def test_every_kind_of_layer_is_tried():
    made = [make() for make, _ in LAYERS.values()]
    assert all(any(isinstance(layer, kind) for layer in made) for kind in (*CONVOLUTIONS, *NORMS, nn.Linear))


@pytest.mark.parametrize(("name", "own"), list(cases()))
def test_every_client_gets_what_the_plain_layer_gives_it(name, own):
    make, shape = LAYERS[name]
    generator = torch.Generator().manual_seed(1)
    layer = randomized(make(), generator)
    values = {
        f"it.{one}": (torch.rand(CLIENTS, *getattr(layer, one).shape, generator=generator, dtype=torch.float64) + 0.5).requires_grad_()
        for one in own
    }
    inputs = torch.randn(CLIENTS * BATCH, *shape, generator=generator, dtype=torch.float64)
    weights = torch.randn(1, generator=generator, dtype=torch.float64)
    together = client_layer(layer, "it", values)(inputs)
    ((together**2).sum() * weights).sum().backward()
    for client, part in enumerate(inputs.chunk(CLIENTS)):
        plain = {one: values[f"it.{one}"][client].detach().clone().requires_grad_() for one in own}
        alone = torch.func.functional_call(layer, plain, (part,))
        torch.testing.assert_close(together.chunk(CLIENTS)[client], alone, rtol=1e-12, atol=1e-12)
        ((alone**2).sum() * weights).sum().backward()
        for one in own:
            torch.testing.assert_close(values[f"it.{one}"].grad[client], plain[one].grad, rtol=1e-10, atol=1e-10)
