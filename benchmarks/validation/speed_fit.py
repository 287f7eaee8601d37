"""Finds what a profile says of a device's speed from measured training steps of networks whose layers are known.

The model is that of fedtiny/costs/compute.py; `Walked` holds what it asks of a network, so that a fit need not walk its layers again and
again (tests/benchmarks/test_validation.py holds the two against each other). The fit minimises

    sum over steps of loss( log predicted - log measured )  +  PRIOR^2 * sum over parameters of (log parameter - log start)^2

with the loss 2 (sqrt(1 + (r/f)^2) - 1) f^2 of a residual r (soft L1, f = 0.2), so that neither an outlier nor a class of operators that the
networks at hand hardly have decides. Starts are round numbers of what a processor of this kind could do, before any of these measurements.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.optimize import least_squares

from fedtiny.costs.compute import backward_passes, step_groups, step_operators
from fedtiny.fleet.device import DeviceProfile
from fedtiny.models.summary import ModelSummary, RateClass
from fedtiny.updates.plan import UpdatePlan, in_head, plan_where

CLASSES: Final[tuple[RateClass, ...]] = (
    *("dense_gemm", "dense_convolution", "pointwise_convolution", "depthwise", "grouped_convolution", "attention"),
)
PARAMETERS: Final = (*CLASSES, "memory_bandwidth", "group_overhead", "backward_of_pointwise")
STARTS: Final = np.log([12e9, 8e9, 6e9, 0.5e9, 1e9, 5e9, 2e9, 0.1e-3, 1.0])
SPREADS: Final = np.array([1, 1, 1, 1.5, 1.5, 1, 1, 1, 0.3])
DISPATCH: Final = 0.1e-3
"""Seconds of an operator's start, which is given and not fitted: of networks this large, 0.1 ms and 1 ms explain the steps equally well."""
PRIOR: Final = 0.3
_SOFT: Final = 0.2
_POINTWISE: Final = CLASSES.index("pointwise_convolution")
_ELEMENT_BYTES: Final = 4

Vector = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Step:
    """A measured step: of which network, what trains, in how many seconds."""

    network: str
    head_only: bool
    seconds: float


@dataclass(frozen=True)
class Walked:
    """What a network's time depends on: arrays (layers,), and counts of a step."""

    rate_class: Vector
    macs: Vector
    moved: Vector
    backward: Vector
    operators: int
    groups: int

    @classmethod
    def of(cls, summary: ModelSummary, plan: UpdatePlan, batch_size: int) -> "Walked":
        """A network under an update plan."""
        layers = summary.layers
        classes = [CLASSES.index(layer.rate_class) if layer.rate_class in CLASSES else -1 for layer in layers]
        sizes = [
            sum(one.elements for one in layer.parameters) + batch_size * (layer.input_elements + layer.output_elements) for layer in layers
        ]
        idle = [
            layer.operator == "other" and not layer.macs and not layer.parameters and layer.input_elements == layer.output_elements
            for layer in layers
        ]
        return cls(
            np.array(classes),
            np.array([batch_size * layer.macs for layer in layers], dtype=float),
            np.where(idle, 0.0, _ELEMENT_BYTES * np.array(sizes, dtype=float)),
            np.array(backward_passes(summary, plan)),
            step_operators(summary, plan),
            step_groups(summary, plan),
        )

    def seconds(self, logarithms: Vector) -> float:
        """The step's seconds with these parameters, as their logarithms."""
        values = np.exp(logarithms)
        rates = np.where(self.rate_class >= 0, values[self.rate_class], np.inf)
        bandwidth, group, factor = values[len(CLASSES) :]
        moving, computing = self.moved / bandwidth, self.macs / rates
        slower = np.where(self.rate_class == _POINTWISE, factor, 1.0)
        passes = np.maximum(computing, moving).sum() + (self.backward * np.maximum(slower * computing, moving)).sum()
        return float(passes + self.operators * DISPATCH + self.groups * group)


def full(summary: ModelSummary) -> UpdatePlan:
    """Everything trains."""
    return plan_where("full", summary, lambda _layer, _parameter: True)


def head_only(summary: ModelSummary) -> UpdatePlan:
    """The last linear layer trains."""
    return plan_where("last", summary, in_head, requires_backward=False)


def walk(networks: Mapping[str, ModelSummary], batch_size: int) -> dict[tuple[str, bool], Walked]:
    """Every network under both plans, by (name, whether only the head trains)."""
    plans = ((False, full), (True, head_only))
    return {(name, head): Walked.of(one, plan(one), batch_size) for name, one in networks.items() for head, plan in plans}


def fit(walked: Mapping[tuple[str, bool], Walked], steps: Sequence[Step]) -> Vector:
    """Logarithms of the parameters (PARAMETERS,) that fit these steps."""
    networks = [walked[step.network, step.head_only] for step in steps]
    measured = np.log([step.seconds for step in steps])

    def residuals(logarithms: Vector) -> Vector:
        predicted = np.log([network.seconds(logarithms) for network in networks])
        return np.concatenate([predicted - measured, PRIOR * (logarithms - STARTS) / SPREADS])

    found: Vector = least_squares(residuals, STARTS, loss="soft_l1", f_scale=_SOFT).x
    return found


def profile_of(logarithms: Vector) -> DeviceProfile:
    """A device with these parameters, for fedtiny/costs/compute.py."""
    value = dict(zip(PARAMETERS, np.exp(logarithms).tolist(), strict=True))
    rates = {name: f"{value[name]!r} MAC/s" for name in CLASSES}
    return DeviceProfile.model_validate(
        {
            "name": "fitted",
            "device_class": "custom",
            "memory": "4 GB",
            "rates": {**rates, "recurrent": rates["dense_gemm"]},
            "memory_bandwidth": f"{value['memory_bandwidth']!r} B/s",
            "dispatch_overhead": f"{DISPATCH!r} s",
            "group_overhead": f"{value['group_overhead']!r} s",
            "backward_factor": {"pointwise_convolution": value["backward_of_pointwise"]},
        }
    )
