"""The three microcontroller networks of On-Device Training Under 256KB Memory (Lin et al., NeurIPS 2022, arXiv 2206.15472).

Their architectures are data in `architectures/`. There the norms are folded into an int8 graph; here the networks have
group norm and weight standardisation as TinyTL's, so that they can be trained in floating point from any start.
"""

from typing import Literal

from fedtiny.models.mobile_architecture import MobileArchitecture, read_architecture
from fedtiny.models.mobile_model import MobileModel


class McuNet5Fps(MobileModel):
    """MCUNet at five frames a second: 42 convolutions, 22.5 million multiply-accumulates at 3x128x128."""

    kind: Literal["mcunet_5fps"] = "mcunet_5fps"

    def architecture(self) -> MobileArchitecture:
        """The published architecture."""
        return read_architecture(self.kind)


class MobileNetV2W035(MobileModel):
    """MobileNetV2 of width 0.35 without its feature mix: 51 convolutions, 16.7 million multiply-accumulates at 3x128x128."""

    kind: Literal["mobilenet_v2_w035"] = "mobilenet_v2_w035"

    def architecture(self) -> MobileArchitecture:
        """The published architecture."""
        return read_architecture(self.kind)


class ProxylessNasW03(MobileModel):
    """ProxylessNAS of width 0.3 without its feature mix: 60 convolutions, 18.6 million multiply-accumulates at 3x128x128."""

    kind: Literal["proxylessnas_w03"] = "proxylessnas_w03"

    def architecture(self) -> MobileArchitecture:
        """The published architecture."""
        return read_architecture(self.kind)
