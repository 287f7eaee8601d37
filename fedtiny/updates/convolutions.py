"""The convolutions of a network as sparse updates count them: from 0 at the input, in the order of their calls, main branch only.

Convolutions in lite residual modules are beside the main branch, and a convolution that is the head is the classifier: neither
counts. The bias of a convolution is its own, else the beta of the norm that follows it. Sparse updates are published for networks
whose norms are folded into their convolutions, and there the two are one (Lin et al., arXiv 2206.15472); the rule for networks
with norms is ours. No torch here.
"""

from dataclasses import dataclass

from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts
from fedtiny.updates.plan import input_channels


@dataclass(frozen=True)
class Convolution:
    """One convolution of the main branch."""

    position: int
    """Its place among the summary's layers, which count norms and activations too."""
    layer: LayerFacts
    weight: ParameterFacts
    bias: ParameterFacts | None
    """None where it has none and no norm with a beta follows."""

    @property
    def in_channels(self) -> int:
        """How many channels its input has; of a depthwise convolution, how many channels it has."""
        return input_channels(self.layer, self.weight)

    @property
    def out_channels(self) -> int:
        """How many channels its output has."""
        return self.weight.shape[0]

    @property
    def trains_by_channel(self) -> bool:
        """Whether some of its input channels can train without the others: not where channels are grouped, unless depthwise."""
        return self.layer.groups == 1 or self.weight.shape[1] == 1


def main_convolutions(summary: ModelSummary) -> tuple[Convolution, ...]:
    """The convolutions of the main branch, from the input to the head."""
    return tuple(
        Convolution(position, layer, weight, _bias(summary.layers, position))
        for position, layer in enumerate(summary.layers)
        if layer.operator == "convolution" and layer.section == "backbone"
        for weight in _with_role(layer, "weight")[:1]
    )


def _bias(layers: tuple[LayerFacts, ...], position: int) -> ParameterFacts | None:
    own = _with_role(layers[position], "bias")
    if own:
        return own[0]
    for layer in layers[position + 1 :]:
        if layer.section != "backbone" or layer.operator in ("convolution", "linear"):
            return None
        if layer.operator == "normalization":
            return next(iter(_with_role(layer, "bias")), None)
    return None


def _with_role(layer: LayerFacts, role: str) -> list[ParameterFacts]:
    return [parameter for parameter in layer.parameters if parameter.role == role]
