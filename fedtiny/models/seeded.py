"""A network whose initial values depend on a seed alone."""

import torch
from torch import nn

from fedtiny.models.base import Model


def build_seeded(model: Model, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, seed: int) -> nn.Module:
    """The network for inputs (channels, height, width), its values drawn from `seed`; raises ModelError as `Model.build` does."""
    return model.build(input_shape, classes, lite_residual=lite_residual, generator=torch.Generator().manual_seed(seed))
