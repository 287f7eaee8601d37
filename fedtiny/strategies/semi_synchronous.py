"""Semi-synchronous rounds: more devices are asked than are wanted, and the server goes on with those that come first.

A round asks ceil(over_commitment cohort) devices that are not at work, and ends when `cohort` of them have replied or its deadline
(`timeout`) is over. What becomes of the others' replies is `late`:

| late | |
|---|---|
| drop | they are thrown away (Bonawitz et al., section 2.2) |
| weight | they go into the version after they came, weighted by their staleness (staleness.py) |

With `weight`, `most_staleness` is a bound s in the sense of Ho et al.: before a version is made, the server waits, past cohort and
deadline, for every device whose reply would otherwise be more than s versions behind. With s = 0 it waits for everybody.

Versions are weighted means of updates, w <- w - sum_i n_i s_i (w_start - w_i) / sum_i n_i s_i (update_buffer.py): with over_commitment
1 and no deadline, FedAvg. Devices that still work on an old round are not asked again before they have replied.

Bonawitz et al.: Towards Federated Learning at Scale: System Design. MLSys 2019.
Ho et al.: More Effective Distributed ML via a Stale Synchronous Parallel Parameter Server. NeurIPS 2013.
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal, Self, final

from pydantic import Field, model_validator

from fedtiny.federation.records import Vector
from fedtiny.strategies.asynchronous import AsynchronousStrategy, require_answers
from fedtiny.strategies.base import no_replies
from fedtiny.strategies.correspondence import Correspondence, Letter, ServerModel
from fedtiny.strategies.staleness import PolynomialWeight, StalenessWeight
from fedtiny.strategies.update_buffer import UpdateBuffer

_LOOKS_EVERY: Final = 1.0
"""How often the server looks whether somebody is there (s), as Flower's own strategies do."""


@final
class SemiSynchronous(AsynchronousStrategy):
    """Rounds that end with the first replies or at a deadline, and what is late is dropped or counts less."""

    combines_parts: ClassVar[bool] = True
    kind: Literal["semi_synchronous"] = "semi_synchronous"
    over_commitment: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.3
    """So many times the wanted devices are asked."""
    late: Literal["drop", "weight"] = "drop"
    """Whether replies that miss their round are thrown away, or go into a later version."""
    staleness: StalenessWeight = PolynomialWeight()
    """How much less a late reply counts; with `late: weight`."""
    most_staleness: Annotated[int, Field(ge=0)] | None = None
    """How many versions a reply may be behind: the server waits for those that would be more; with `late: weight`."""

    @model_validator(mode="after")
    def _bounds_what_it_uses(self) -> Self:
        if self.late == "drop" and self.most_staleness is not None:
            raise ValueError(
                "most_staleness bounds replies that are used late, and late: drop uses none: add late: weight, or leave it out"
            )
        return self

    @property
    def oldest_reply(self) -> float | None:
        """By how many versions a reply may be behind; None with `late: drop`."""
        return None if self.late == "drop" else math.inf

    def server_model(self, start: Vector) -> ServerModel:
        """The weighted mean of updates."""
        return UpdateBuffer(start, self.staleness, 1.0, normalised=True)

    def serve(self, letters: Correspondence, versions: int) -> None:
        """The server's loop; see `_Rounds`."""
        _Rounds(self, letters).run(versions)


class _Rounds:
    """The server's loop."""

    def __init__(self, strategy: SemiSynchronous, letters: Correspondence) -> None:
        self.strategy, self.letters = strategy, letters
        self.cohort = strategy.cohort_size(len(letters.nodes))
        self.at_work: dict[int, int] = {}
        """Version of the model that a node works on."""
        self.came = self.used = self.failures = 0

    def run(self, versions: int) -> None:
        """Makes so many versions; RoundError if nobody answers in a round."""
        self.letters.publish(0)
        if versions:
            self.letters.gather(self.strategy.wanted_nodes)
        for number in range(1, versions + 1):
            self.came = self.used = 0
            asked = self._ask(number)
            self._collect(number, min(self.cohort, asked))
            if not self.used:
                raise no_replies(number, asked, self.strategy.timeout)
            self.letters.publish(number)

    def _ask(self, number: int) -> int:
        """Asks devices that are there and free, once there are any; how many."""
        free = self._free()
        while not free:
            self._await_somebody(number)
            free = self._free()
        wanted = math.ceil(self.strategy.over_commitment * self.cohort)
        chosen = sorted(self.letters.sample(free, min(wanted, len(free))))
        self.letters.send(chosen, number - 1)
        self.at_work |= dict.fromkeys(chosen, number - 1)
        return len(chosen)

    def _free(self) -> Sequence[int]:
        there = self.letters.gather(0)
        return [node for node in there if node not in self.at_work] if self.at_work else there

    def _await_somebody(self, number: int) -> None:
        """Until a device has replied, or some time has passed in which others may have come."""
        if not self.at_work:
            self.letters.gather(1)
            return
        everybody = len(self.at_work) == len(self.letters.nodes)
        came = self.letters.first(None if everybody else _LOOKS_EVERY)
        if came is not None:
            self._receive(came, number)

    def _collect(self, number: int, wanted: int) -> None:
        began, timeout = self.letters.now, self.strategy.timeout
        over = False
        while (waits := self._waits(number)) or not (over or self._enough(number, wanted)):
            left = None if waits or timeout is None else max(0.0, began + timeout - self.letters.now)
            came = self.letters.first(left)
            if came is None:
                over = True
            else:
                self._receive(came, number)

    def _enough(self, number: int, wanted: int) -> bool:
        """Whether nobody is left whose reply this round is for, or as many have come as were wanted."""
        return self.came >= wanted or number - 1 not in self.at_work.values()

    def _waits(self, number: int) -> bool:
        """Whether somebody would be too far behind if the version were made now."""
        most = self.strategy.most_staleness
        return most is not None and any(version < number - most for version in self.at_work.values())

    def _receive(self, came: Letter, number: int) -> None:
        del self.at_work[came.node]
        staleness = number - 1 - came.version
        if came.failed:
            require_answers(self.failures + 1, len(self.letters.nodes), number)
            self.failures += 1
            return
        self.failures = 0
        self.came += staleness == 0
        if staleness == 0 or self.strategy.late == "weight":
            self.letters.use(came, staleness)
            self.used += 1
