"""Finds the profile that explains how long training steps took, by the model of time of fedtiny/costs/compute.py.

It minimises

    sum over steps of loss( log predicted - log measured )  +  prior^2 * sum over parameters of (log parameter - log start)^2

with the loss 2 (sqrt(1 + (r/f)^2) - 1) f^2 of a residual r (soft L1, f = 0.2), so that no outlier decides. Times are within a few per
cent on any of them, large or small, so their logarithms are compared. The starts are round numbers in proportion to each other, all
made slower or faster by one factor so that the median step takes as long as it was measured to; the prior is weak, and decides only of
what no step depends on. tests/calibration/test_speed.py holds the arithmetic here against that of costs/compute.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from fedtiny.costs.compute import layer_passes, library_convolutions, pass_bytes, started_operators, step_groups, update_bytes
from fedtiny.costs.dispatch import computed_as
from fedtiny.models.summary import ModelSummary, RateClass
from fedtiny.updates.plan import UpdatePlan

Vector = NDArray[np.float64]
Integers = NDArray[np.int64]

CLASSES: Final[tuple[RateClass, ...]] = (
    *("dense_gemm", "dense_convolution", "pointwise_convolution", "depthwise", "grouped_convolution", "recurrent", "attention"),
)
_OF_ALL: Final = ("memory_bandwidth", "dispatch_overhead", "convolution_overhead", "group_overhead")
PARAMETERS: Final = (*(f"{kind}.{name}" for kind in ("rates", "backward_factor", "weight_factor") for name in CLASSES), *_OF_ALL)
_STARTS: Final = np.log([*[20e9] * 7, *[1.0] * 14, 20e9, 5e-6, 20e-6, 0.1e-6])
PRIOR: Final = 0.05
_SOFT: Final = 0.2
_FORWARD, _INPUT, _WEIGHT = range(3)


@dataclass(frozen=True)
class Passes:
    """What the time of several steps depends on: passes over layers, one after the other (passes,), and counts of each step (steps,)."""

    first: Integers
    """Where the passes of each step begin, (steps,)."""
    kind: Integers
    """0 forward, 1 for the gradient of an input, 2 for that of a weight."""
    rate_class: Integers
    """The place in CLASSES; -1 where there are no multiply-accumulates."""
    macs: Vector
    moved: Vector
    """Bytes."""
    times: Vector
    """How many such passes, or what share of one."""
    overheads: Vector
    """(steps, 3): operators started, convolutions handed over, groups."""
    updated: Vector
    """Bytes that the update of each step moves, (steps,)."""

    def seconds(self, logarithms: Vector) -> Vector:
        """What each step takes, (steps,), by parameters that are given as their logarithms (PARAMETERS,)."""
        values = np.exp(logarithms)
        count = len(CLASSES)
        factors = np.concatenate([np.ones(count), values[count : 3 * count]]).reshape(3, count)
        bandwidth = values[3 * count]
        computing = np.where(self.rate_class >= 0, self.macs * factors[self.kind, self.rate_class] / values[self.rate_class], 0.0)
        passes = self.times * np.maximum(computing, self.moved / bandwidth)
        found: Vector = np.add.reduceat(passes, self.first) + self.overheads @ values[3 * count + 1 :] + self.updated / bandwidth
        return found


def passes_of(steps: Sequence[tuple[ModelSummary, UpdatePlan, int]]) -> Passes:
    """The passes of steps that are given by network, what trains of it, and batch."""
    rows: list[tuple[float, ...]] = []
    first, overheads, updated = [], [], []
    for summary, plan, batch_size in steps:
        first.append(len(rows))
        for layer, inputs, weight in layer_passes(summary, plan):
            rate_class = computed_as(layer, batch_size)
            place = -1 if rate_class is None else CLASSES.index(rate_class)
            size = (place, batch_size * layer.macs, pass_bytes(layer, batch_size))
            rows += [(kind, *size, times) for kind, times in ((_FORWARD, 1.0), (_INPUT, inputs), (_WEIGHT, weight)) if times]
        overheads.append((started_operators(summary, plan), library_convolutions(summary, plan, batch_size), step_groups(summary, plan)))
        updated.append(update_bytes(summary, plan))
    kinds, places, macs, moved, times = np.array(rows, dtype=np.float64).T
    counts = np.array(overheads, dtype=np.float64)
    return Passes(
        np.array(first), kinds.astype(np.int64), places.astype(np.int64), macs, moved, times, counts, np.array(updated, dtype=np.float64)
    )


def fit(passes: Passes, seconds: Sequence[float], *, prior: float = PRIOR) -> Vector:
    """The logarithms of the parameters (PARAMETERS,) that fit what the steps took."""
    measured = np.log(seconds)
    starts = _scaled(float(np.median(measured - np.log(passes.seconds(_STARTS)))))

    def residuals(logarithms: Vector) -> Vector:
        return np.concatenate([np.log(passes.seconds(logarithms)) - measured, prior * (logarithms - starts)])

    found: Vector = least_squares(residuals, starts, loss="soft_l1", f_scale=_SOFT, x_scale=1.0).x
    return found


def _scaled(slower: float) -> Vector:
    """The starts of a machine that takes so much longer (a logarithm)."""
    count = len(CLASSES)
    return _STARTS + slower * np.array([*[-1.0] * count, *[0.0] * 2 * count, -1.0, 1.0, 1.0, 1.0])


def speed_of(logarithms: Vector) -> dict[str, Any]:
    """What these parameters say of a device: rates, factors, bandwidth and overheads as the keys of a profile, in base units."""
    found: dict[str, Any] = {}
    for place, value in zip(PARAMETERS, np.exp(logarithms).tolist(), strict=True):
        kind, _, name = place.partition(".")
        if name:
            found.setdefault(kind, {})[name] = value
        else:
            found[kind] = value
    # a product of two activations has no weight
    found["weight_factor"].pop("attention")
    return found
