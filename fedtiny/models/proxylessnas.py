"""ProxylessNAS-Mobile (Cai, Zhu, Han: ProxylessNAS, ICLR 2019, arXiv 1812.00332): the network of TinyTL's experiments.

4 080 512 parameters with 1000 classes; TinyTL's published tables include 1 816 416 more in lite residual modules.
"""

from typing import ClassVar, Literal

from fedtiny.models.mobile_architecture import MobileArchitecture, Stem, block
from fedtiny.models.mobile_model import MobileModel

_STEM_CHANNELS = 32
_FIRST_CHANNELS = 16
_FEATURES = 1280
# out channels, first block's stride, (expansion, kernel) of each block
_STAGES = (
    (32, 2, ((3, 5), (3, 3))),
    (40, 2, ((3, 7), (3, 3), (3, 5), (3, 5))),
    (80, 2, ((6, 7), (3, 5), (3, 5), (3, 5))),
    (96, 1, ((6, 5), (3, 5), (3, 5), (3, 5))),
    (192, 2, ((6, 7), (6, 7), (3, 7), (3, 7))),
    (320, 1, ((6, 7),)),
)


class ProxylessNasMobile(MobileModel):
    """ProxylessNAS-Mobile with group norm and weight standardisation, as TinyTL uses it."""

    lite_residual_by_default: ClassVar[bool] = True

    kind: Literal["proxylessnas_mobile"] = "proxylessnas_mobile"

    def architecture(self) -> MobileArchitecture:
        """The published architecture."""
        return proxylessnas_mobile()


def proxylessnas_mobile() -> MobileArchitecture:
    """The stages of ProxylessNAS-Mobile behind a stem and a first block without expansion, and a feature mix of 1280 channels."""
    blocks = [block(_STEM_CHANNELS, _FIRST_CHANNELS, expansion=1, kernel=3, stride=1)]
    for out_channels, first_stride, members in _STAGES:
        for position, (expansion, kernel) in enumerate(members):
            stride = first_stride if position == 0 else 1
            blocks.append(block(blocks[-1].out_channels, out_channels, expansion=expansion, kernel=kernel, stride=stride))
    stem = Stem(out_channels=_STEM_CHANNELS, kernel=3, stride=2)
    return MobileArchitecture(name="proxylessnas_mobile", stem=stem, blocks=tuple(blocks), feature_mix=_FEATURES, classifier_in=_FEATURES)
