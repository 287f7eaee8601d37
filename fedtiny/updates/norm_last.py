"""Normalisation layers and head: gamma and beta of every norm train (FT-Norm+Last in TinyTL's tables).

Few parameters, much memory: the gradient of gamma needs the whole input of its norm.
"""

from typing import Literal, final

from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts
from fedtiny.updates.base import Update
from fedtiny.updates.plan import UpdatePlan, in_head, plan_where, require_head


def _in_norm_or_head(layer: LayerFacts, parameter: ParameterFacts) -> bool:
    return layer.operator == "normalization" or in_head(layer, parameter)


@final
class NormLast(Update):
    """Every normalisation layer and the head train."""

    kind: Literal["norm_last"] = "norm_last"

    def plan(self, summary: ModelSummary) -> UpdatePlan:
        """Gamma and beta of every norm, those in lite residual modules too, and the head."""
        require_head("norm_last", summary)
        return plan_where("norm_last", summary, _in_norm_or_head)

    @property
    def trains_lite_residual(self) -> bool:
        """False: it trains the norms of lite residual modules that are there, but does not ask for them."""
        return False
