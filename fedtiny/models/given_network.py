"""A user's own network, given from Python as a class or function instead of being named in a scenario's file."""

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from fedtiny.models.base import Inputs, Model, refuse_lite_residual
from fedtiny.models.python_network import build_user_network


class GivenNetwork(Model):
    """What a class or function makes. A file cannot say it: the resolved scenario of a run names it, but cannot be run again."""

    kind: Literal["python"] = "python"
    takes: ClassVar[Inputs] = "anything"
    name: str
    """What it is called in results."""
    factory: Annotated[Callable[..., nn.Module], Field(exclude=True, repr=False)]
    """Makes the network; it gets `input_shape` and `classes` as build_user_network says."""

    def build(self, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, generator: torch.Generator) -> nn.Module:
        """The user's network; ModelError where the factory fails, or lite residual modules are asked for."""
        refuse_lite_residual(self.name, lite_residual)
        return build_user_network(self.factory, input_shape, classes, generator)

    def wants_lite_residual(self, update_trains_lite: bool) -> bool:
        """No; ModelError where the update trains them."""
        return refuse_lite_residual(self.name, update_trains_lite)


def given_network(factory: Callable[..., nn.Module]) -> GivenNetwork:
    """The model that a class or function makes."""
    return GivenNetwork(name=getattr(factory, "__name__", type(factory).__name__), factory=factory)
