"""What a scenario says about a network of integers: how it is made, and how devices train it (no torch here).

Lin et al.: On-Device Training Under 256KB Memory, NeurIPS 2022, arXiv 2206.15472. See models/quantized_convolution.py for what such a
network computes and training/quantization_aware_scaling.py for how it learns.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from fedtiny.parts import Part


class Int8(Part):
    """Post-training quantisation to 8 bits: weights symmetric per output channel, activations per tensor, head in floating point."""

    kind: Literal["int8"] = "int8"
    calibration_examples: Annotated[int, Field(gt=0)] = 256
    """So many public examples say between which values each activation lies."""
    scaling: Literal["qas", "none"] = "qas"
    """qas: quantization-aware scaling of the gradients. none: gradients with respect to the integers, as they are."""
    storage: Literal["float_master", "int8"] = "float_master"
    """float_master: devices keep real master values. int8: they keep integers; what they receive and every step is rounded."""
    rounding: Literal["nearest", "stochastic"] = "nearest"
    """How integers are stored: to the nearest, or up with the probability of the fraction. For storage: int8."""

    @model_validator(mode="after")
    def _only_integers_are_rounded(self) -> Self:
        if self.rounding == "stochastic" and self.storage == "float_master":
            raise ValueError("master values are not rounded when they are stored: add storage: int8, or leave out rounding: stochastic")
        return self


DEFAULT: Final = Int8()
"""Scaled gradients and master values."""
