"""The operators of the int8 graph of a network, and what each of them trains under a plan.

On a microcontroller norms and activations are no operators of their own: a norm is folded into the convolution before it, and an
activation is the clamp of its output. So a network of convolution, norm and activation is priced as the one operator that it would
be there: beta is the bias, and gamma is part of the weight. Only where gamma trains and the weight does not (`norm_last`), gamma
keeps the input of its norm. That reading of networks with norms is ours; the published networks have none.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from fedtiny.models.summary import LayerFacts, ModelSummary
from fedtiny.updates.plan import UpdatePlan, trained_share

_INTO_THE_OPERATOR_BEFORE = ("normalization", "relu", "smooth_activation")


@dataclass(frozen=True)
class Unit:
    """One operator of the int8 graph; elements are those of one sample."""

    layer: LayerFacts
    weights: int
    """Trained elements of its weight."""
    biases: int
    """Trained elements of its bias, which is the beta of its norm where it has none of its own."""
    saved: int
    """Elements that the forward pass keeps in 8 bits for its weight's gradient, or for that of a smooth activation behind it."""
    saves_input_whole: bool
    """Whether its whole input is among them."""
    clamps: bool
    """Whether its output is clamped: that of a convolution always, that of others where a ReLU follows."""
    needs_input_gradient: bool
    """Whether something before it trains, so that the backward pass goes on below it."""

    @property
    def trains(self) -> bool:
        """Whether its own weight or bias does."""
        return self.weights + self.biases > 0

    @property
    def has_gradient(self) -> bool:
        """Whether the backward pass reaches it."""
        return self.trains or self.needs_input_gradient

    @property
    def is_head(self) -> bool:
        """Whether it is the classifier, which stays in floating point."""
        return self.layer.section == "head"

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel is a group of its own, so that it can compute in place."""
        return self.layer.rate_class == "depthwise"

    @property
    def mask_bits(self) -> int:
        """One bit per output element that tells whether it was clamped."""
        return self.layer.output_elements if self.clamps and self.has_gradient and not self.is_head else 0


def int8_units(summary: ModelSummary, plan: UpdatePlan) -> list[Unit]:
    """The operators in the order in which they compute."""
    trains = [any(parameter.name in plan.trainable_names for parameter in layer.parameters) for layer in summary.layers]
    units: list[Unit] = []
    for layer in summary.layers:
        below = any(trains[index] for index in layer.upstream)
        if units and layer.operator in _INTO_THE_OPERATOR_BEFORE and not units[-1].is_head:
            units[-1] = _folded(units[-1], layer, plan)
        else:
            units.append(_unit(layer, plan, below))
    return units


def _unit(layer: LayerFacts, plan: UpdatePlan, below: bool) -> Unit:
    multiplies_activations = bool(layer.macs) and not layer.parameters
    keeps_input = below and (multiplies_activations or layer.operator == "smooth_activation")
    share = Fraction(1) if keeps_input else trained_share(layer, plan)
    weights, biases = _trained(layer, plan)
    return Unit(
        layer=layer,
        weights=weights,
        biases=biases,
        saved=int(layer.input_elements * share),
        saves_input_whole=share == 1,
        clamps=layer.operator in ("convolution", "relu"),
        needs_input_gradient=below,
    )


def _folded(unit: Unit, layer: LayerFacts, plan: UpdatePlan) -> Unit:
    """The operator with a norm or an activation folded into it."""
    if layer.operator == "smooth_activation":
        return replace(unit, saved=unit.saved + layer.input_elements * unit.has_gradient)
    if layer.operator == "relu":
        return replace(unit, clamps=True)
    gammas, betas = _trained(layer, plan)
    alone = gammas > 0 and unit.weights == 0
    return replace(
        unit,
        weights=unit.weights + gammas * alone,
        biases=unit.biases + betas,
        saved=unit.saved + layer.input_elements * alone,
    )


def _trained(layer: LayerFacts, plan: UpdatePlan) -> tuple[int, int]:
    elements = {"weight": 0, "bias": 0}
    for parameter in layer.parameters:
        elements[parameter.role] += plan.elements_of(layer, parameter)
    return elements["weight"], elements["bias"]
