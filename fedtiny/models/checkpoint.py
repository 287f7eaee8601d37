"""A network that FedTiny wrote, with the values that it then had: what `fedtiny design` ends with."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from fedtiny.errors import ModelError
from fedtiny.models.base import Model, Pretraining, lite_residual_wanted
from fedtiny.models.checkpoint_folder import CheckpointDescription, read_description, read_values
from fedtiny.models.initialization import initialize
from fedtiny.parts import Part


class PublicShare(Part):
    """Which training examples a checkpoint was made from; no client holds them."""

    share: Annotated[float, Field(gt=0, lt=1)]
    """The share of the training examples."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The seed of the scenario that it was made for: with the same data it gives the same examples."""


class Checkpoint(Model):
    """A mobile network with its values, from a folder that FedTiny wrote. For other classes its head is made anew."""

    kind: Literal["checkpoint"] = "checkpoint"
    path: str
    """The folder; a relative path counts from the scenario's file."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of its architecture.yaml, which states that of the values; where it is given, another checkpoint is refused."""
    lite_residual: bool | None = None
    """Whether the network has lite residual modules. Default: where the checkpoint has them, or the update trains them; new ones add
    nothing at first."""
    any_size: bool = False
    """Whether it also takes images of another size than it was made for."""
    public: PublicShare | None = None
    """The share of the training examples that it was made from, which no client holds; left out: none, it knows other data."""
    has_values: ClassVar[bool] = True

    @field_validator("pretrained")
    @classmethod
    def _has_its_values(cls, value: Pretraining | str | None) -> Pretraining | str | None:
        if isinstance(value, str):
            raise ValueError("a checkpoint has its own values: leave out pretrained, or train on with, for example, {steps: 300}")
        return value

    @model_validator(mode="after")
    def _knows_one_public_share(self) -> Self:
        if self.public is not None and self.pretrained is not None:
            raise ValueError("a checkpoint is made from its public share or trained on with pretrained.share: leave out one of them")
        return self

    def build(self, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, generator: torch.Generator) -> nn.Module:
        """The network with random values; preparation fills in the checkpoint's."""
        description = self.description()
        wrong_size = input_shape[1:] != description.input[1:] and not self.any_size
        if input_shape[0] != description.input[0] or wrong_size:
            made, given = ("x".join(str(size) for size in shape) for shape in (description.input, input_shape))
            raise ModelError(
                f"the network of {self.path} was made for inputs of {made}, and the data have {given}: use data: {{image_size: "
                f"{description.input[1]}, channels: {description.input[0]}}}, or, for another size only, model: {{any_size: true}}"
            )
        network = description.network(classes, lite_residual=lite_residual)
        initialize(network, generator)
        return network

    def wants_lite_residual(self, update_trains_lite: bool) -> bool:
        """What the key says; where it says nothing, whether the checkpoint has them or the update trains them.

        Raises ModelError where they are wanted and cannot be, or are there and refused.
        """
        description = self.description()
        if description.normalization == "folded":
            if self.lite_residual or update_trains_lite:
                raise ModelError(
                    f"the network of {self.path} has no norms, and lite residual modules need theirs: use update: {{kind: bias}} without "
                    "lite_residual: true"
                )
            return False
        if description.lite_residual and self.lite_residual is False:
            raise ModelError(
                f"the network of {self.path} has lite residual modules, which are part of what it computes: leave out lite_residual"
            )
        return lite_residual_wanted(self.kind, self.lite_residual, update_trains_lite, by_default=description.lite_residual)

    def description(self) -> CheckpointDescription:
        """What the folder says the network is made of. Raises ModelError where it cannot be read."""
        return read_description(Path(self.path), self.sha256)

    def values(self) -> dict[str, Tensor]:
        """The values of the network. Raises ModelError where they cannot be read."""
        return read_values(Path(self.path), self.description())
