"""Automatic: every device gets the best update that its memory and its time allow.

Candidates are listed best first. By default in the order of accuracy that TinyTL's paper finds on its transfer tasks (Cai, Gan,
Zhu, Han: TinyTL, NeurIPS 2020, arXiv 2007.11622, Table 2): full, tinytl, bias, last. `norm_last` is not among them: the gradient
of gamma needs the whole input of its norm, so it takes more memory than tinytl (192 MB against 37 MB there), and is less accurate on
eight of the nine data sets.

Which candidate a device gets is decided before time 0 from what each would take there (design/automatic.py).
"""

from typing import Annotated, Final, Literal, final

from pydantic import Field, Strict

from fedtiny.errors import ScenarioError
from fedtiny.models.summary import ModelSummary
from fedtiny.units import PositiveSeconds
from fedtiny.updates.base import Update
from fedtiny.updates.full import Full
from fedtiny.updates.last import Last
from fedtiny.updates.norm_last import NormLast
from fedtiny.updates.plan import UpdatePlan
from fedtiny.updates.sparse import Sparse
from fedtiny.updates.tinytl import Bias, TinyTL

Candidate = Annotated[Full | Last | NormLast | Bias | TinyTL | Sparse, Field(discriminator="kind")]

BEST_FIRST: Final[tuple[Update, ...]] = (Full(), TinyTL(), Bias(), Last())


@final
class Automatic(Update):
    """Each device trains the best of these updates that fits its memory and its time."""

    kind: Literal["automatic"] = "automatic"
    candidates: Annotated[tuple[Candidate, ...], Strict(False), Field(min_length=1)] | None = None
    """Updates, best first; left out: full, tinytl, bias, last, those of them that the network can be trained with."""
    round_time: PositiveSeconds | None = None
    """A device's local steps of one round may take no longer than this; left out: only memory decides."""

    def plan(self, summary: ModelSummary) -> UpdatePlan:
        """Refused with a ScenarioError: there is a plan for each device and none for all."""
        raise ScenarioError("automatic chooses an update for each device of a fleet: name one here, such as full or bias", path=("update",))

    @property
    def trains_lite_residual(self) -> bool:
        """Whether any of the candidates does."""
        return any(update.trains_lite_residual for update in self.candidates or BEST_FIRST)


def cheaper_than(update: Update) -> tuple[Update, ...]:
    """What a device may train instead, best first, where an update does not fit: those after it in the default order.

    A scheme that is not in that order, such as a sparse one, is followed by bias and last, which need nothing of the network that
    it may not have.
    """
    kinds = [type(candidate) for candidate in BEST_FIRST]
    if type(update) not in kinds:
        return tuple(candidate for candidate in BEST_FIRST if isinstance(candidate, Bias | Last))
    return BEST_FIRST[kinds.index(type(update)) + 1 :]
