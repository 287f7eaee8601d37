"""UpdatePlan: which parameters of a network train on a device, by name; and the ways to choose them.

Everything that follows from the choice reads the plan: the gradients that are computed, the tensors that travel, the
memory and the time that training takes. No torch here, so that costs and simulation can be used without it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fedtiny.errors import ScenarioError
from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts

Choice = Callable[[LayerFacts, ParameterFacts], bool]
"""Whether a parameter of a layer trains."""


@dataclass(frozen=True)
class UpdatePlan:
    """The parameters that train on a device."""

    scheme: str
    """Name of the scheme as outputs show it: full, last, norm_last, bias, tinytl_lite_residual, tinytl."""
    trainable: tuple[str, ...]
    """Names of the parameters that train, in the model's order. All others are frozen: no gradient, no byte sent."""
    requires_backward: bool
    """Whether layers below the head keep what their backward pass needs, such as ReLU masks; False for `last` only."""

    def trainable_elements(self, summary: ModelSummary) -> int:
        """How many numbers train in the network of `summary`."""
        names = frozenset(self.trainable)
        return sum(parameter.elements for parameter in summary.parameters if parameter.name in names)


def plan_where(scheme: str, summary: ModelSummary, trains: Choice, *, requires_backward: bool = True) -> UpdatePlan:
    """The plan that trains every parameter for which `trains` holds, in any of the layers that use it."""
    chosen = {parameter.name for layer in summary.layers for parameter in layer.parameters if trains(layer, parameter)}
    names = tuple(parameter.name for parameter in summary.parameters if parameter.name in chosen)
    return UpdatePlan(scheme=scheme, trainable=names, requires_backward=requires_backward)


def weight_trains(layer: LayerFacts, trained: frozenset[str]) -> bool:
    """Whether a weight of the layer, or the gamma of a norm, is among the names of the trained parameters."""
    return any(parameter.role == "weight" and parameter.name in trained for parameter in layer.parameters)


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
