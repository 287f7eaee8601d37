"""UpdatePlan: which parameters of a network train on a device, by name, whole or on some channels; and the ways to choose them.

Everything that follows from the choice reads the plan: the gradients that are computed, the tensors that travel, the
memory and the time that training takes. No torch here, so that costs and simulation can be used without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from fedtiny.errors import ScenarioError
from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts

Choice = Callable[[LayerFacts, ParameterFacts], bool]
"""Whether a parameter of a layer trains."""


@dataclass(frozen=True)
class UpdatePlan:
    """The parameters that train on a device."""

    scheme: str
    """Name of the scheme as outputs show it: full, last, norm_last, bias, tinytl_lite_residual, tinytl, sparse ..."""
    trainable: tuple[str, ...]
    """Names of the parameters that train, in the model's order. All others are frozen: no gradient, no byte sent."""
    requires_backward: bool
    """Whether layers below the head keep what their backward pass needs, such as ReLU masks; False for `last` only."""
    channels: tuple[tuple[str, int], ...] = ()
    """(parameter, n): of this trainable weight only n input channels train; which ones, `layout.layout_of` says."""

    @cached_property
    def trained_channels(self) -> dict[str, int]:
        """How many input channels of a weight train, for the weights that train in part."""
        return dict(self.channels)

    def elements_of(self, layer: LayerFacts, parameter: ParameterFacts) -> int:
        """How many numbers of a parameter of this layer train."""
        if parameter.name not in self.trainable_names:
            return 0
        if parameter.name not in self.trained_channels:
            return parameter.elements
        channels = input_channels(layer, parameter)
        return parameter.elements // channels * self.trained_channels[parameter.name]

    def trainable_elements(self, summary: ModelSummary) -> int:
        """How many numbers train in the network of `summary`."""
        seen = {parameter.name: (layer, parameter) for layer in reversed(summary.layers) for parameter in layer.parameters}
        return sum(self.elements_of(layer, parameter) for layer, parameter in seen.values())

    @cached_property
    def trainable_names(self) -> frozenset[str]:
        """The names in `trainable`."""
        return frozenset(self.trainable)


def input_channels(layer: LayerFacts, weight: ParameterFacts) -> int:
    """How many input channels a convolution or linear layer has, from the shape (out, in / groups, ...) of its weight."""
    return weight.shape[1] * layer.groups


def plan_where(scheme: str, summary: ModelSummary, trains: Choice, *, requires_backward: bool = True) -> UpdatePlan:
    """The plan that trains every parameter for which `trains` holds, in any of the layers that use it."""
    chosen = {parameter.name for layer in summary.layers for parameter in layer.parameters if trains(layer, parameter)}
    names = tuple(parameter.name for parameter in summary.parameters if parameter.name in chosen)
    return UpdatePlan(scheme=scheme, trainable=names, requires_backward=requires_backward)


def trained_share(layer: LayerFacts, plan: UpdatePlan) -> Fraction:
    """The share of a layer's input that the gradient of its weight needs: 1 where a whole weight trains, 0 where none does."""
    trained = [parameter for parameter in layer.parameters if parameter.role == "weight" and parameter.name in plan.trainable_names]
    return max((Fraction(plan.elements_of(layer, parameter), parameter.elements) for parameter in trained), default=Fraction(0))


def in_head(layer: LayerFacts, _: ParameterFacts) -> bool:
    """Whether a parameter belongs to the head, the last linear layer, which every scheme trains."""
    return layer.section == "head"


def require_head(scheme: str, summary: ModelSummary) -> None:
    """Raises ScenarioError where the network has no head, so that the scheme does not know what to train anew."""
    if not any(layer.section == "head" and layer.parameters for layer in summary.layers):
        raise ScenarioError(
            f"{summary.model} has no head, no last linear layer, for update {scheme} to train: "
            "let the network end with a linear layer, or use update: {kind: full}",
            path=("update",),
        )


def require_lite_residual(scheme: str, summary: ModelSummary) -> None:
    """Raises ScenarioError where the network carries no lite residual modules for the scheme to train."""
    if not any(layer.section == "lite_residual" for layer in summary.layers):
        raise ScenarioError(
            f"{summary.model} carries no lite residual modules for update {scheme} to train: use a model that can carry them, "
            "such as proxylessnas_mobile, without lite_residual: false; or use update: {kind: bias}",
            path=("update",),
        )
