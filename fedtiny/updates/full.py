"""Full update: every parameter trains (FT-Full in TinyTL's tables)."""

from typing import Literal, final

from fedtiny.models.summary import ModelSummary
from fedtiny.updates.base import Update
from fedtiny.updates.plan import UpdatePlan


@final
class Full(Update):
    """Every parameter of the network trains."""

    kind: Literal["full"] = "full"

    def plan(self, summary: ModelSummary) -> UpdatePlan:
        """All parameters, those of lite residual modules too where the network carries them; needs no head."""
        names = tuple(parameter.name for parameter in summary.parameters)
        return UpdatePlan(scheme="full", trainable=names, requires_backward=True)

    @property
    def trains_lite_residual(self) -> bool:
        """False: nothing in a full update asks for lite residual modules."""
        return False
