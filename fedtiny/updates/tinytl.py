"""TinyTL: biases, lite residual modules, or both train; the weights of the network stay frozen.

With a = layer input, W = weights, b = bias and a' = a W + b, the gradients are (section 3.1 of the paper)

    dL/da = dL/da' W^T        dL/dW = a^T dL/da'        dL/db = dL/da'

so only dL/dW needs a, the activation that fills the memory. Biases therefore train almost for free; a lite residual module
adds capacity back on features pooled to a quarter of the pixels.

Citation: Cai, Gan, Zhu, Han: TinyTL: Reduce Memory, Not Parameters for Efficient On-Device Learning. NeurIPS 2020,
arXiv 2007.11622. What trains in each variant follows the authors' program; in `tinytl` the beta of a module's last norm
stays frozen, because it is added to the same output as the beta of the main branch's last norm and would say it twice.
"""

from typing import Literal, Self, final

from pydantic import model_validator

from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts
from fedtiny.updates.base import Update
from fedtiny.updates.plan import UpdatePlan, in_head, plan_where, require_head, require_lite_residual


def _bias_or_head(layer: LayerFacts, parameter: ParameterFacts) -> bool:
    return parameter.role == "bias" or in_head(layer, parameter)


def _lite_or_head(layer: LayerFacts, parameter: ParameterFacts) -> bool:
    return layer.section == "lite_residual" or in_head(layer, parameter)


def _bias_or_lite_or_head(layer: LayerFacts, parameter: ParameterFacts) -> bool:
    if layer.final_in_lite and parameter.role == "bias":
        return False
    return _bias_or_head(layer, parameter) or _lite_or_head(layer, parameter)


def _bias_plan(summary: ModelSummary) -> UpdatePlan:
    require_head("bias", summary)
    return plan_where("bias", summary, _bias_or_head)


@final
class Bias(Update):
    """Every bias and the head train (TinyTL-B)."""

    kind: Literal["bias"] = "bias"

    def plan(self, summary: ModelSummary) -> UpdatePlan:
        """All biases, which are norm betas where convolutions carry none, both betas of each lite residual module, and the head."""
        return _bias_plan(summary)

    @property
    def trains_lite_residual(self) -> bool:
        """False: it trains the betas of lite residual modules that are there, but does not ask for them."""
        return False


@final
class TinyTL(Update):
    """Biases and lite residual modules, or one of the two, and the head train."""

    kind: Literal["tinytl"] = "tinytl"
    bias: bool = True
    """Whether the biases of the main branch train."""
    lite_residual: bool = True
    """Whether the lite residual modules train."""

    @model_validator(mode="after")
    def _trains_something(self) -> Self:
        if not (self.bias or self.lite_residual):
            raise ValueError("with bias and lite_residual both false only the head trains: set one of them to true, or use {kind: last}")
        return self

    def plan(self, summary: ModelSummary) -> UpdatePlan:
        """TinyTL-L+B by default, named tinytl; TinyTL-L without `bias`; without `lite_residual` the scheme is bias."""
        if not self.lite_residual:
            return _bias_plan(summary)
        scheme, trains = ("tinytl", _bias_or_lite_or_head) if self.bias else ("tinytl_lite_residual", _lite_or_head)
        require_head(scheme, summary)
        require_lite_residual(scheme, summary)
        return plan_where(scheme, summary, trains)

    @property
    def trains_lite_residual(self) -> bool:
        """Whether lite residual modules train, so that a network that can carry them should."""
        return self.lite_residual
