"""What a scenario says about how its network is to be found: `design`, read by `fedtiny design` alone."""

from typing import Annotated

from pydantic import Field, Strict

from fedtiny.design.architecture_search import Evolution
from fedtiny.design.supernet import SupernetTraining
from fedtiny.models.elastic_space import ElasticSpace
from fedtiny.parts import Part
from fedtiny.units import Bytes, Joules, PositiveSeconds

Width = Annotated[float, Field(gt=0, le=10)]


class Limits(Part):
    """What the network may take beside the memory that the fleet's devices have for training, which is always a limit."""

    training_memory: Bytes | None = None
    """Of a step of training, in the scenario's accounting, where it should be less than the devices offer."""
    flash: Bytes | None = None
    """Of the parameters, each of `weight_bits`."""
    weight_bits: Annotated[int, Field(ge=1, le=32)] = 8
    """Bits of a parameter in flash."""
    step_time: PositiveSeconds | None = None
    """Of a local step on the slowest device."""
    inference_time: PositiveSeconds | None = None
    """Of one forward pass of one sample on the slowest device."""
    step_energy: Joules | None = None
    """Of a local step on the device that it costs most."""


class Design(Part):
    """A search space, how its networks are trained and searched, and what they may take."""

    space: ElasticSpace
    """The networks to choose from; its resolutions are those of the spaces that are compared."""
    widths: Annotated[tuple[Width, ...], Strict(False), Field(min_length=1)] = (0.5, 0.75, 1.0)
    """Width multipliers; each with each resolution is a space of its own, of which one is chosen."""
    samples: Annotated[int, Field(gt=0)] = 100
    """Networks drawn from each of these spaces (published: 1000)."""
    supernet: SupernetTraining = SupernetTraining()
    """How the chosen space's weight-shared network is trained, on the public share of the data (model.pretrained.share)."""
    search: Evolution = Evolution()
    """How the network is searched."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The share of the public examples that networks are compared on, and that the supernet does not learn from."""
    limits: Limits = Limits()
    """What the network may take at most."""
