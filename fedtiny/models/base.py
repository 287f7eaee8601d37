"""What a scenario says about the network that learns, and what every kind of network can do.

A model builds an `nn.Module` that takes floating-point inputs (batch, channels, height, width) and returns logits
(batch, classes). Whether it carries lite residual modules (TinyTL, arXiv 2007.11622) is one decision of model and
update together, so the caller asks `wants_lite_residual` first and passes the answer to `build`.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Final, Literal

import torch
from pydantic import Field, Strict, field_validator
from torch import nn

from fedtiny.errors import ModelError
from fedtiny.models.augmentation import NetAug
from fedtiny.parts import Part

Inputs = Literal["images", "series", "characters", "anything"]
"""What a network reads: images (channels, height, width); features over time (features, steps), also as images whose rows are
features; sequences (steps,) of indices of characters; or inputs of any shape, whose meaning is its own business."""

IMAGENET: Final = "imagenet"
"""What `pretrained` says for the published weights from ImageNet, where a kind has them."""

_CARRIERS = "proxylessnas_mobile, mobilenet_v2, mcunet_5fps, mobilenet_v2_w035, proxylessnas_w03 or efficientnet_lite0"


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
    netaug: NetAug | None = None
    """Network augmentation: the network is trained inside wider ones, which are then left behind. Mobile networks only."""
    new_head: bool = False
    """Whether the head gets its random initial values back afterwards, so that the devices teach it anew, whatever it has learnt of
    the classes that the server saw."""


class Model(Part, ABC):
    """A kind of network."""

    kind: str
    takes: ClassVar[Inputs] = "images"
    """What the network reads."""
    has_imagenet_weights: ClassVar[bool] = False
    """Whether `pretrained: imagenet` is offered."""
    has_values: ClassVar[bool] = False
    """Whether the kind brings its own values, so that a network of it knows something without pre-training."""
    pretrained: Pretraining | str | None = None
    """Pre-training before time 0, or the path of a .safetensors file with initial values; random values otherwise."""
    pretrained_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of that file; where it is given, another file is refused."""

    @field_validator("pretrained")
    @classmethod
    def _is_offered(cls, value: Pretraining | str | None) -> Pretraining | str | None:
        if value == IMAGENET and not cls.has_imagenet_weights:
            raise ValueError(
                "only model efficientnet_lite0 has weights from imagenet: name a .safetensors file, or pre-train, for example {steps: 300}"
            )
        return value

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


def lite_residual_wanted(kind: str, key: bool | None, update_trains_lite: bool, *, by_default: bool = False) -> bool:
    """Whether a network that can carry lite residual modules does: what the key `lite_residual` says; where it says nothing, whether
    the update trains them or the kind has them `by_default`.

    Raises ModelError where the key is false and the update trains them.
    """
    if key is False and update_trains_lite:
        raise ModelError(
            f"the update trains lite residual modules, but model {kind} says lite_residual: false: "
            "remove that key or use update: {kind: tinytl, lite_residual: false}"
        )
    return key if key is not None else update_trains_lite or by_default
