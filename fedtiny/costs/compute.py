"""What a training step computes, and how long a device takes for it.

A layer with F multiply-accumulates per sample takes up to three passes over a batch of B samples:

| pass | when |
|---|---|
| forward | always |
| dX, the gradient of its input | a parameter of an earlier layer, on a path to this one, trains |
| the part of dX that goes to a recurrent layer's own earlier states | a parameter of the layer itself trains, be it a bias |
| dW, the gradient of its weight | its weight (the gamma of a norm) trains; where n of its c input channels train, n / c of a pass |

Each pass costs B F multiply-accumulates; the gradient of a bias is a sum and costs none. A product of two activations
(multiply-accumulates without parameters, as in attention) has two inputs, so its dX is two passes. On a device with a rate for
every class of operators the passes run one after the other (a roofline, and what it costs to start an operator):

    seconds of a pass   = max( B F k / rate[class],  bytes / bandwidth )       bytes = 4 (W + B |x| + B |y|)
    seconds of a step   = sum of the passes + operators * dispatch + groups * group overhead

where k is 1 forward and the device's backward factor of the class backward, W are the elements of the layer's parameters, |x| and
|y| the elements of its input and output per sample, and
4 bytes an element (float32). The bytes are the same for the three passes: forward reads weight and input and writes the output; dX
reads weight and output gradient and writes the input gradient; dW reads input and output gradient and writes the weight
gradient. Layers without multiply-accumulates (norms, activations) are bound by bandwidth only, and free where it is not
known. A bandwidth that is not known bounds nothing.

Operators are counted by one rule: forward, a layer is one; backward, one for the gradient of its input where that is wanted (two
for a product of two activations), and one for the gradients of its own parameters where any of them trains. A recurrent layer is as
many of each as it has time steps (F / W: it multiplies every weight once in each). A layer that only hands on what it gets (no
parameters, no multiply-accumulates, as many elements out as in, of no known kind: dropout, flatten) is none, and moves nothing. Groups
are counted of convolutions that have several, once for every operator: where PyTorch has no kernel of its own for them, it works on one
after the other (aten/src/ATen/native/Convolution.cpp of 1.13), so that a depthwise convolution of 960 channels starts 960 small ones.

Where a device's `weight_factor` is given, it takes the place of the backward factor in passes for the gradient of a weight.

Not counted: the optimiser's own arithmetic, additions at shortcuts. A device whose `dispatched` is `operators` (one that `fedtiny
calibrate` measured) pays for all operators that torch starts instead, and more for convolutions (dispatch.py has the rules):

    starting = operators * dispatch + convolutions handed over * convolution overhead + 3 * 4 bytes * trained elements / bandwidth

Classes of operators are needed because networks of depthwise convolutions train at an eighth of the rate of ResNets on a
Raspberry Pi 4: there, one rate explains 37 % of the variance of 51 networks (our fit to the measurements of
jafermarq/federated-embedded-vision).
The roofline is that of Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from fedtiny.costs.dispatch import OPERATORS_OF_AN_UPDATE, VALUES_OF_AN_UPDATE, computed_as, handed_over, started
from fedtiny.fleet.device import DeviceProfile, Rates
from fedtiny.models.summary import LayerFacts, ModelSummary, RateClass
from fedtiny.updates.plan import UpdatePlan, trained_share

_ELEMENT_BYTES = 4


def forward_macs(summary: ModelSummary) -> dict[RateClass, float]:
    """Multiply-accumulates of the forward pass of one sample, by class of operator."""
    return _by_class((layer, 1) for layer in summary.layers)


def backward_macs(summary: ModelSummary, plan: UpdatePlan) -> dict[RateClass, float]:
    """Multiply-accumulates of the backward pass of one sample, given what trains, by class of operator."""
    return _by_class(zip(summary.layers, backward_passes(summary, plan), strict=True))


def step_macs(summary: ModelSummary, plan: UpdatePlan) -> dict[RateClass, float]:
    """Multiply-accumulates of a training step per sample, forward and backward, by class of operator."""
    return _by_class(_passes(summary, plan))


def backward_passes(summary: ModelSummary, plan: UpdatePlan) -> list[float]:
    """Passes of each layer in a backward pass, for the gradients of its inputs and of its weight: 0 to 2, or a share where a
    weight trains on some of its input channels."""
    return [passes.inputs + passes.weight for passes in _backward(summary, plan)]


def layer_passes(summary: ModelSummary, plan: UpdatePlan) -> list[tuple[LayerFacts, float, float]]:
    """Each layer with its passes for the gradients of its inputs and, or a share of one, of its weight."""
    backward = zip(summary.layers, _backward(summary, plan), strict=True)
    return [(layer, passes.inputs, passes.weight) for layer, passes in backward]


@dataclass(frozen=True)
class _Backward:
    """What the backward pass does with a layer."""

    inputs: float
    """Passes for the gradients of its inputs."""
    weight: float
    """The share of a pass for the gradient of its weight."""
    own_trains: bool
    """Whether any of its parameters trains, be it a bias."""


def _backward(summary: ModelSummary, plan: UpdatePlan) -> list[_Backward]:
    trains = [any(parameter.name in plan.trainable_names for parameter in layer.parameters) for layer in summary.layers]
    return [
        _Backward(_input_passes(layer, own, any(trains[index] for index in layer.upstream)), float(trained_share(layer, plan)), own)
        for layer, own in zip(summary.layers, trains, strict=True)
    ]


def _input_passes(layer: LayerFacts, own_trains: bool, upstream_trains: bool) -> float:
    if upstream_trains:
        return _inputs(layer)
    return _recurrent_share(layer) if own_trains else 0


def _recurrent_share(layer: LayerFacts) -> float:
    """The share of a recurrent layer's weights that multiply its own earlier states, by the name that torch gives them; else 0."""
    weights = [parameter for parameter in layer.parameters if layer.rate_class == "recurrent" and parameter.role == "weight"]
    states = sum(parameter.elements for parameter in weights if parameter.name.rpartition(".")[2].startswith("weight_hh"))
    return states / sum(parameter.elements for parameter in weights) if weights else 0


def _inputs(layer: LayerFacts) -> int:
    """How many activations a layer multiplies: two where it has multiply-accumulates and no parameters, else one."""
    return 2 if layer.macs and not layer.parameters else 1


def step_operators(summary: ModelSummary, plan: UpdatePlan) -> int:
    """How many operators a training step starts, forward and backward, whatever its batch."""
    backward = zip(summary.layers, _backward(summary, plan), strict=True)
    return sum(_times(layer) * (1 + ceil(passes.inputs) + passes.own_trains) for layer, passes in backward)


def step_groups(summary: ModelSummary, plan: UpdatePlan) -> int:
    """How many groups of convolutions with several of them a training step goes through, forward and backward, whatever its batch."""
    backward = zip(summary.layers, _backward(summary, plan), strict=True)
    return sum(layer.groups * (1 + ceil(passes.inputs) + passes.own_trains) for layer, passes in backward if layer.groups > 1)


def started_operators(summary: ModelSummary, plan: UpdatePlan) -> int:
    """How many operators torch starts in a training step, those within and between layers and of the update included."""
    backward = zip(summary.layers, _backward(summary, plan), strict=True)
    own = sum(layer.between if _hands_on(layer) else started(layer, passes.inputs, passes.own_trains) for layer, passes in backward)
    return own + OPERATORS_OF_AN_UPDATE * len(plan.trainable)


def library_convolutions(summary: ModelSummary, plan: UpdatePlan, batch_size: int) -> int:
    """How many passes over convolutions torch hands to its library in a training step."""
    backward = zip(summary.layers, _backward(summary, plan), strict=True)
    return sum(handed_over(layer, passes.inputs, passes.own_trains, batch_size) for layer, passes in backward)


def update_bytes(summary: ModelSummary, plan: UpdatePlan) -> int:
    """Bytes that the update of the parameters moves."""
    return VALUES_OF_AN_UPDATE * _ELEMENT_BYTES * plan.trainable_elements(summary)


def step_seconds(summary: ModelSummary, plan: UpdatePlan, batch_size: int, device: DeviceProfile) -> float:
    """Seconds of one training step on a batch that fits the memory; a device's own `step_time` holds whatever the scheme or batch."""
    if device.step_time is not None:
        return device.step_time
    backward = zip(summary.layers, _backward(summary, plan), strict=True)
    computing = sum(_layer_seconds(layer, passes, batch_size, device) for layer, passes in backward)
    grouped = step_groups(summary, plan) * device.group_overhead if device.group_overhead else 0.0
    return computing + _starting(summary, plan, batch_size, device) + grouped


def _layer_seconds(layer: LayerFacts, passes: _Backward, batch_size: int, device: DeviceProfile) -> float:
    rate_class = layer.rate_class if device.dispatched == "layers" else computed_as(layer, batch_size)
    moving = pass_bytes(layer, batch_size) / device.memory_bandwidth if device.memory_bandwidth else 0.0
    if rate_class is None:
        return (1 + passes.inputs + passes.weight) * moving
    assert device.rates is not None, "a device profile has rates or a step time"
    computing = batch_size * layer.macs / rate_of(device.rates, rate_class)
    slower, weight = (getattr(factors, rate_class) for factors in (device.backward_factor, device.weight_factor or device.backward_factor))
    backward = passes.inputs * max(slower * computing, moving) + passes.weight * max(weight * computing, moving)
    return max(computing, moving) + float(backward)


def _starting(summary: ModelSummary, plan: UpdatePlan, batch_size: int, device: DeviceProfile) -> float:
    """Seconds that go to starting operators, and to the update where that is counted."""
    if device.dispatched == "layers":
        return step_operators(summary, plan) * device.dispatch_overhead if device.dispatch_overhead else 0.0
    updating = update_bytes(summary, plan) / device.memory_bandwidth if device.memory_bandwidth else 0.0
    convolutions = library_convolutions(summary, plan, batch_size) * device.convolution_overhead
    return started_operators(summary, plan) * device.dispatch_overhead + convolutions + updating


def _passes(summary: ModelSummary, plan: UpdatePlan) -> Iterator[tuple[LayerFacts, float]]:
    for layer, backward in zip(summary.layers, backward_passes(summary, plan), strict=True):
        yield layer, 1 + backward


def _by_class(passes: Iterator[tuple[LayerFacts, float]]) -> dict[RateClass, float]:
    macs: dict[RateClass, float] = {}
    for layer, count in passes:
        if layer.rate_class is not None:
            macs[layer.rate_class] = macs.get(layer.rate_class, 0.0) + count * layer.macs
    return macs


def _times(layer: LayerFacts) -> int:
    """How many operators a pass over a layer starts."""
    if layer.rate_class == "recurrent":
        return max(1, layer.macs // max(1, sum(parameter.elements for parameter in layer.parameters if parameter.role == "weight")))
    return 0 if _hands_on(layer) else 1


def _hands_on(layer: LayerFacts) -> bool:
    """Whether a layer only hands on what it gets."""
    return layer.operator == "other" and not layer.macs and not layer.parameters and layer.input_elements == layer.output_elements


def pass_bytes(layer: LayerFacts, batch_size: int) -> int:
    """Bytes that any pass over a layer moves."""
    if _hands_on(layer):
        return 0
    weights = sum(parameter.elements for parameter in layer.parameters)
    return _ELEMENT_BYTES * (weights + batch_size * (layer.input_elements + layer.output_elements))


def rate_of(rates: Rates, rate_class: RateClass) -> float:
    """The rate of a class of operators, in multiply-accumulates per second; a class that is not stated runs as the one it is kin to."""
    match rate_class:
        case "pointwise_convolution":
            return rates.pointwise_convolution or rates.dense_convolution
        case "grouped_convolution":
            return rates.grouped_convolution or rates.dense_convolution
        case "attention":
            return rates.attention or rates.dense_gemm
        case _:
            return {
                "dense_gemm": rates.dense_gemm,
                "dense_convolution": rates.dense_convolution,
                "depthwise": rates.depthwise,
                "recurrent": rates.recurrent,
            }[rate_class]
