"""What a scenario says about the network that learns, and what every kind of network can do.

A model builds an `nn.Module` that takes floating-point inputs (batch, channels, height, width) and returns logits
(batch, classes). Whether it carries lite residual modules (TinyTL, arXiv 2007.11622) is one decision of model and
update together, so the caller asks `wants_lite_residual` first and passes the answer to `build`.
"""

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from pydantic import Field, Strict
from torch import nn

from fedtiny.errors import ModelError
from fedtiny.parts import Part

_CARRIERS = "proxylessnas_mobile, mobilenet_v2, mcunet_5fps, mobilenet_v2_w035 or proxylessnas_w03"


class Pretraining(Part):
    """Training on a server before time 0, with Adam, on a public share of the data that no client holds."""

    steps: Annotated[int, Field(gt=0)] = 300
    """Optimizer steps."""
    classes: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Strict(False), Field(min_length=1)] | None = None
    """The classes that the server sees; all of them if none are named."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The share of the training examples that becomes public."""
    batch_size: Annotated[int, Field(gt=0)] = 64
    """Examples in a step."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    """Adam's step size."""


class Model(Part, ABC):
    """A kind of network."""

    kind: str
    pretrained: Pretraining | str | None = None
    """Pre-training before time 0, or the path of a .safetensors file with initial values; random values otherwise."""
    pretrained_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of that file; where it is given, another file is refused."""

    @abstractmethod
    def build(self, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, generator: torch.Generator) -> nn.Module:
        """The network for inputs (channels, height, width), in float32, its random values drawn from `generator` alone.

        Raises ModelError where the network cannot be built, or cannot carry the lite residual modules asked for.
        """

    @abstractmethod
    def wants_lite_residual(self, update_trains_lite: bool) -> bool:
        """Whether to build with lite residual modules, given whether the update trains them.

        Raises ModelError where the update trains what this model does not have.
        """


def refuse_lite_residual(kind: str, wanted: bool) -> bool:
    """False, for the kinds without inverted bottlenecks to attach a lite residual module to.

    Raises ModelError where they are wanted.
    """
    if wanted:
        raise ModelError(
            f"model {kind} cannot carry lite residual modules, which the update trains: "
            f"use update: {{kind: tinytl, lite_residual: false}}, or model {_CARRIERS}"
        )
    return False
