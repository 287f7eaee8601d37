"""What a network consists of, as plain facts: no tensors, no torch.

`measure.summarize` makes them from one forward pass; update plans, memory and time are computed from them alone.
All counts are per sample, so a batch of b samples has b times the activations and b times the multiply-accumulates.
"""

from dataclasses import dataclass
from typing import Literal

Operator = Literal["convolution", "linear", "normalization", "relu", "smooth_activation", "other"]
"""What a layer does, as far as memory cares: a ReLU needs one bit per element for its gradient, a smooth activation
(sigmoid, tanh, h-swish, h-sigmoid ...) the whole element."""

RateClass = Literal[
    "dense_gemm", "dense_convolution", "depthwise", "recurrent", "pointwise_convolution", "grouped_convolution", "attention"
]
"""The kinds of multiply-accumulates that devices do at different speeds: products with a matrix of weights, convolutions of one group,
of one channel a group, recurrent layers, 1x1 convolutions of one group, convolutions of several groups of several channels, and products
of two activations."""

Section = Literal["backbone", "lite_residual", "head"]
Role = Literal["weight", "bias"]


@dataclass(frozen=True)
class ParameterFacts:
    """One parameter tensor. Of a normalisation, gamma is the weight and beta the bias."""

    name: str
    elements: int
    role: Role
    shape: tuple[int, ...] = ()
    """The tensor's shape: of a convolution's weight (out, in / groups, height, width), of a linear layer's (out, in)."""


@dataclass(frozen=True)
class LayerFacts:
    """One call of one layer in the forward pass of one sample."""

    name: str
    operator: Operator
    section: Section
    input_elements: int
    output_elements: int
    groups: int
    """Channel groups of a convolution; 1 for everything else."""
    macs: int
    """Multiply-accumulates of the forward pass."""
    rate_class: RateClass | None
    """None where there are no multiply-accumulates."""
    parameters: tuple[ParameterFacts, ...]
    residual_elements: int
    """Elements of the enclosing block's input while inside a block with a shortcut, else 0."""
    upstream: tuple[int, ...]
    """Indices of the earlier layers with parameters that this layer's input depends on, parallel branches told apart."""
    final_in_lite: bool
    """Whether this is the last normalisation of a lite residual module."""
    operators: int = 1
    """Operators that torch starts inside its forward pass: several where its weight is standardised first, or over time steps."""
    between: int = 0
    """Operators that torch starts after the layer before it and before this one: shortcuts, pooling, upsampling."""


@dataclass(frozen=True)
class ModelSummary:
    """A network's layers in the order of their calls, for one input shape (channels, height, width)."""

    model: str
    input_shape: tuple[int, int, int]
    classes: int
    layers: tuple[LayerFacts, ...]

    @property
    def parameters(self) -> tuple[ParameterFacts, ...]:
        """Every parameter tensor once, in the order in which the forward pass first meets it."""
        return tuple({parameter.name: parameter for layer in self.layers for parameter in layer.parameters}.values())

    @property
    def parameter_elements(self) -> int:
        """The number of parameters, each counted once however many layers share it."""
        return sum(parameter.elements for parameter in self.parameters)

    @property
    def forward_macs(self) -> int:
        """Multiply-accumulates of one forward pass of one sample."""
        return sum(layer.macs for layer in self.layers)
