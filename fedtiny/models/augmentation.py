"""Network augmentation as part of a scenario: how much wider the networks are in which a tiny one is trained (design/netaug.py)."""

from typing import Annotated

from pydantic import Field, Strict, field_validator

from fedtiny.parts import Part

Factors = Annotated[tuple[Annotated[float, Field(ge=1, allow_inf_nan=False)], ...], Strict(False), Field(min_length=1)]


class NetAug(Part):
    """Training a tiny network inside wider ones (Cai, Gan, Lin, Han: Network Augmentation for Tiny Deep Learning, ICLR 2022, arXiv
    2110.08890); defaults are those of the released configuration for MCUNet."""

    width: Factors = (1.0, 1.6, 2.2)
    """Times the width of a layer; 1 is the tiny network."""
    expansion: Factors = (1.0, 1.6, 2.2, 2.8)
    """Times the expansion inside a block; 1 is the tiny network."""
    alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """What the loss of the wider network counts beside that of the tiny one; 1 in the released code."""
    width_until: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The share of the steps after which only the expansion is augmented."""
    sort_channels: bool = True
    """Whether, while the width is augmented, every epoch begins with the channels inside blocks in the order of their importance."""

    @field_validator("width", "expansion")
    @classmethod
    def _has_the_tiny_network(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if min(value) != 1:
            raise ValueError("one of the factors has to be 1, the tiny network itself")
        return tuple(sorted(set(value)))
