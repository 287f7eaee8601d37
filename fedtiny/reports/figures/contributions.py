"""Figure: what each depth of trained biases and each layer's weights add to accuracy, and which of them a scheme chose.

The left panel is the gain of training the biases of the last k convolutions over the classifier alone; the right one the gain
of each layer's weights over biases alone, one row for each share of its input channels (Lin et al., NeurIPS 2022, section 2.2).
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fedtiny.reports import style

_POINTS: Final = 100
_HEIGHT: Final = 2.6
_MOST_TICKS: Final = 12
_SMALLEST: Final = 0.1


@style.paper()
def draw(biases: Mapping[int, float], weights: Mapping[int, Mapping[float, float]], depth: int, chosen: Mapping[int, float]) -> Figure:
    """Gains as shares of examples, `biases` by depth k, `weights` by layer and share; `depth` and `chosen` (layer -> share): a scheme."""
    figure = style.new_figure(style.TWO_COLUMNS, _HEIGHT)
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    _draw_biases(left, biases, depth)
    if weights:
        _draw_weights(figure, right, weights, chosen)
    else:
        right.set_visible(False)
    return figure


def _draw_biases(axes: Axes, biases: Mapping[int, float], depth: int) -> None:
    depths = sorted(biases)
    axes.plot(depths, [_POINTS * biases[one] for one in depths], color=style.BLUE, marker=style.MARKERS[0])
    axes.plot([depth], [_POINTS * biases[depth]], color=style.VERMILLION, marker="s", markersize=6, linestyle="", label="chosen")
    axes.set_xlabel("k: biases of the last k convolutions")
    axes.set_ylabel("gain over the classifier (points)")
    axes.legend(loc="lower right")
    style.grid(axes)


def _draw_weights(figure: Figure, axes: Axes, weights: Mapping[int, Mapping[float, float]], chosen: Mapping[int, float]) -> None:
    layers, shares = sorted(weights), sorted({share for gains in weights.values() for share in gains})
    gains = np.array([[_POINTS * weights[layer].get(share, np.nan) for layer in layers] for share in shares])
    limit = max(float(np.nanmax(np.abs(gains))), _SMALLEST)
    norm: Any = TwoSlopeNorm(0, -limit, limit)
    image = axes.imshow(gains, cmap="PuOr_r", norm=norm, aspect="auto", origin="lower")
    for column, layer in enumerate(layers):
        if layer in chosen:
            axes.add_patch(
                Rectangle((column - 0.5, shares.index(chosen[layer]) - 0.5), 1, 1, fill=False, edgecolor=style.INK, linewidth=1.4)
            )
    every = -(-len(layers) // _MOST_TICKS)
    axes.set_xticks(range(0, len(layers), every), [str(layer) for layer in layers[::every]])
    axes.set_yticks(range(len(shares)), [f"{share:g}" for share in shares])
    axes.set_xlabel("layer (convolutions, counted from the input); framed: chosen")
    axes.set_ylabel("share of input channels")
    figure.colorbar(image, ax=axes, label="gain over biases (points)")
