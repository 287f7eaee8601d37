"""MobileNetV2 of any width (Sandler et al., CVPR 2018, arXiv 1801.04381, table 2), with group norm and weight standardisation.

3 504 872 parameters at width 1 with 1000 classes.
"""

from typing import Annotated, Literal

from pydantic import Field

from fedtiny.models.mobile_architecture import MobileArchitecture, Stem, block, multiple_of_eight
from fedtiny.models.mobile_model import MobileModel

_STEM_CHANNELS = 32
_FEATURES = 1280
# expansion, out channels, number of blocks, first block's stride
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class MobileNetV2(MobileModel):
    """MobileNetV2; `width` multiplies the channels of every layer, those of the last one only from 1 up."""

    kind: Literal["mobilenet_v2"] = "mobilenet_v2"
    width: Annotated[float, Field(gt=0, le=10)] = 1.0
    """The width multiplier; channels are rounded to multiples of 8."""

    def architecture(self) -> MobileArchitecture:
        """The published architecture at this width."""
        return mobilenet_v2(self.width)


def mobilenet_v2(width: float) -> MobileArchitecture:
    """The published architecture with all channels multiplied by `width`."""
    stem = Stem(out_channels=multiple_of_eight(_STEM_CHANNELS * width), kernel=3, stride=2)
    blocks = []
    in_channels = stem.out_channels
    for expansion, stage_channels, count, first_stride in _STAGES:
        out_channels = multiple_of_eight(stage_channels * width)
        for position in range(count):
            stride = first_stride if position == 0 else 1
            blocks.append(block(in_channels, out_channels, expansion=expansion, kernel=3, stride=stride))
            in_channels = out_channels
    features = multiple_of_eight(_FEATURES * max(1.0, width))
    return MobileArchitecture(name="mobilenet_v2", stem=stem, blocks=tuple(blocks), feature_mix=features, classifier_in=features)
