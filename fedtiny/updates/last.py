"""Last layer only: the head trains on the features of a frozen network (FT-Last in TinyTL's tables)."""

from typing import Literal, final

from fedtiny.models.summary import ModelSummary
from fedtiny.updates.base import Update
from fedtiny.updates.plan import UpdatePlan, in_head, plan_where, require_head


@final
class Last(Update):
    """Only the head, the last linear layer, trains."""

    kind: Literal["last"] = "last"

    def plan(self, summary: ModelSummary) -> UpdatePlan:
        """Weight and bias of the head; the only scheme that keeps nothing for a backward pass below it."""
        require_head("last", summary)
        return plan_where("last", summary, in_head, requires_backward=False)

    @property
    def trains_lite_residual(self) -> bool:
        """False: only the head trains."""
        return False
