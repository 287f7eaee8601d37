"""What the mobile networks have in common as parts of a scenario: an architecture, and room for lite residual modules."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Self

import torch
from pydantic import model_validator
from torch import nn

from fedtiny.errors import ModelError
from fedtiny.models.base import Model, lite_residual_wanted
from fedtiny.models.inverted_bottleneck import convolution_unit, folded_unit
from fedtiny.models.mobile_architecture import MobileArchitecture
from fedtiny.models.mobile_network import build_mobile_network
from fedtiny.models.quantization import Int8
from fedtiny.models.quantized_network import build_quantized_network


class MobileModel(Model, ABC):
    """A network of inverted bottlenecks."""

    lite_residual_by_default: ClassVar[bool] = False

    lite_residual: bool | None = None
    """Whether the network has lite residual modules. Default: yes for proxylessnas_mobile, whose published table has them in every
    row; elsewhere, where the update trains them."""
    normalization: Literal["group", "folded"] = "group"
    """group: weight standardisation and group norm, as TinyTL's networks. folded: convolutions with bias and nothing else, as on
    a microcontroller; pre-training gives them the values of a batch-normalised twin."""
    quantization: Int8 | None = None
    """Whether the folded network computes in integers, and which; pre-training is followed by quantisation. Default: it does not."""

    @model_validator(mode="after")
    def _only_folded_networks_are_quantized(self) -> Self:
        if self.quantization is not None and self.normalization != "folded":
            raise ValueError("an int8 network has no norms, they are folded into its convolutions: add normalization: folded")
        return self

    @abstractmethod
    def architecture(self) -> MobileArchitecture:
        """The widths, kernels and strides of this kind."""

    def build(self, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, generator: torch.Generator) -> nn.Module:
        """The network for inputs (channels, height, width) of any size."""
        if self.quantization is not None:
            return build_quantized_network(self.architecture(), input_shape, classes, generator=generator)
        unit = folded_unit if self.normalization == "folded" else convolution_unit
        return build_mobile_network(self.architecture(), input_shape, classes, lite_residual=lite_residual, generator=generator, unit=unit)

    def wants_lite_residual(self, update_trains_lite: bool) -> bool:
        """The key `lite_residual`; where it says nothing, whether the update trains them or this kind has them anyway.

        Raises ModelError where the key is false, or the network has no norms, and the update trains them.
        """
        if self.normalization == "folded":
            return self._refuse_lite_residual(update_trains_lite)
        return lite_residual_wanted(self.kind, self.lite_residual, update_trains_lite, by_default=self.lite_residual_by_default)

    def _refuse_lite_residual(self, update_trains_lite: bool) -> bool:
        if self.lite_residual or update_trains_lite:
            raise ModelError(
                f"{self.kind} with normalization: folded has no norms, and lite residual modules need theirs: "
                "use update: {kind: bias} without lite_residual: true, or normalization: group"
            )
        return False
