"""The fifteen sparse updates that the authors published, five for each of their networks, named by network and extra memory.

Each was found by their search for a budget of extra memory at 3x128x128 and 10 classes; the number in its name is that memory in
kB of 1024 bytes, rounded down (`costs/mcu_memory.py` gives it). A layer with ratio 0 is listed in a published scheme as if its
weight trained, and trains its bias only.

Source: the configurations in mit-han-lab/tiny-training, for Lin, Zhu, Chen, Wang, Gan, Han: On-Device Training Under 256KB Memory,
NeurIPS 2022, arXiv 2206.15472.
"""

from dataclasses import dataclass
from typing import Final, Literal

SchemeName = Literal[
    "mcunet_5fps_49kb",
    "mcunet_5fps_74kb",
    "mcunet_5fps_99kb",
    "mcunet_5fps_124kb",
    "mcunet_5fps_148kb",
    "mobilenet_v2_w035_49kb",
    "mobilenet_v2_w035_73kb",
    "mobilenet_v2_w035_99kb",
    "mobilenet_v2_w035_123kb",
    "mobilenet_v2_w035_138kb",
    "proxylessnas_w03_49kb",
    "proxylessnas_w03_74kb",
    "proxylessnas_w03_98kb",
    "proxylessnas_w03_120kb",
    "proxylessnas_w03_148kb",
]


@dataclass(frozen=True)
class PublishedScheme:
    """(k, I, R) of the paper."""

    model: str
    """The network it is for."""
    kilobytes: int
    """Its published extra memory, in kB of 1024 bytes, rounded down."""
    biases: int
    """k: the biases of so many last convolutions train."""
    layers: tuple[int, ...]
    """I: convolutions whose weights train."""
    ratios: tuple[float, ...]
    """R: on which share of its input channels each of these trains."""

    @property
    def weights(self) -> dict[int, float]:
        """Convolution -> ratio."""
        return dict(zip(self.layers, self.ratios, strict=True))


_MCUNET: Final = "mcunet_5fps"
_MOBILENET: Final = "mobilenet_v2_w035"
_PROXYLESS: Final = "proxylessnas_w03"
_EVERY_BLOCK_FROM_27: Final = (27, 30, 33, 36, 39, 42, 45, 48)
_EVERY_BLOCK_FROM_36: Final = (36, 39, 42, 45, 48, 51, 54, 57)

PUBLISHED: Final[dict[SchemeName, PublishedScheme]] = {
    "mcunet_5fps_49kb": PublishedScheme(_MCUNET, 49, 20, (23, 24, 27, 30, 33, 39), (0, 0.25, 0.5, 0.5, 0, 0)),
    "mcunet_5fps_74kb": PublishedScheme(_MCUNET, 74, 21, (21, 23, 24, 26, 27, 30), (1, 0, 1, 0, 0.5, 1)),
    "mcunet_5fps_99kb": PublishedScheme(_MCUNET, 99, 22, (21, 24, 27, 30, 36, 39), (1, 1, 1, 1, 0.125, 0.25)),
    "mcunet_5fps_124kb": PublishedScheme(_MCUNET, 124, 24, (21, 24, 27, 30, 33, 39), (0.25, 1, 1, 1, 0.5, 0.5)),
    "mcunet_5fps_148kb": PublishedScheme(_MCUNET, 148, 23, (21, 24, 27, 30, 36, 39), (1, 1, 1, 1, 1, 0.5)),
    "mobilenet_v2_w035_49kb": PublishedScheme(
        _MOBILENET, 49, 16, (36, 39, 40, 41, 42, 45, 48, 49), (1, 1, 0, 0.25, 0.125, 0.125, 0.125, 0.125)
    ),
    "mobilenet_v2_w035_73kb": PublishedScheme(
        _MOBILENET, 73, 20, (32, 33, 36, 39, 41, 42, 45, 48), (0.125, 0.5, 0.5, 1, 0.25, 0.125, 0.125, 1)
    ),
    "mobilenet_v2_w035_99kb": PublishedScheme(_MOBILENET, 99, 25, _EVERY_BLOCK_FROM_27, (1, 1, 1, 1, 1, 0.125, 0.5, 1)),
    "mobilenet_v2_w035_123kb": PublishedScheme(_MOBILENET, 123, 31, _EVERY_BLOCK_FROM_27, (1, 1, 1, 1, 1, 0.5, 1, 1)),
    "mobilenet_v2_w035_138kb": PublishedScheme(_MOBILENET, 138, 34, _EVERY_BLOCK_FROM_27, (1,) * 8),
    "proxylessnas_w03_49kb": PublishedScheme(_PROXYLESS, 49, 21, (39, 42, 44, 45, 50, 51, 54, 57), (0.25, 1, 0, 1, 0, 0.125, 0.25, 0.25)),
    "proxylessnas_w03_74kb": PublishedScheme(_PROXYLESS, 74, 28, (33, 36, 39, 42, 45, 51, 54, 57), (0.5, 0.25, 1, 1, 1, 0.5, 0.25, 0.5)),
    "proxylessnas_w03_98kb": PublishedScheme(_PROXYLESS, 98, 25, _EVERY_BLOCK_FROM_36, (1, 0.5, 1, 1, 0.25, 0.5, 1, 1)),
    "proxylessnas_w03_120kb": PublishedScheme(_PROXYLESS, 120, 32, _EVERY_BLOCK_FROM_36, (1, 1, 1, 1, 0.5, 1, 1, 1)),
    "proxylessnas_w03_148kb": PublishedScheme(_PROXYLESS, 148, 45, _EVERY_BLOCK_FROM_36, (1,) * 8),
}
"""Scheme by name."""


def published_for(model: str) -> tuple[SchemeName, ...]:
    """The names of the schemes of a network, by ascending memory; none for most networks."""
    return tuple(name for name, scheme in PUBLISHED.items() if scheme.model == model)
