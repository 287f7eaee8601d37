"""Which delay a round of DGA gets: a number, what hides the communication, or what reaches the target soonest (the last two are ours).

`auto` takes the round trip L and the step time c that the server has seen (round_trips.py), and

    D = ceil(L / c),

the smallest delay without a stall that communication causes; L is a quantile of the round trips, c the median of the step times. What
clients wait for each other is not in L: no delay can take it away.

`drift` takes no more of that than pays. A delay makes rounds shorter, period(D) = K c + max(0, (L - D c) / (s + 1)), and worth less,
because gradients are taken where clients have drifted apart for D + K - 1 steps. It takes the D of at most `auto`'s with the largest

    worth(D) / period(D),     worth(D) = 1 / (1 + sensitivity y swing^2 ((D + K) / K)^2)

by what the server sees in the sums (drift.py): y, how far clients drift apart relative to the model's own way, and their swing, how much of
it turns because gradients change on the way. Where they do not, no delay costs anything, however far clients drift; a smaller rate or
flatter loss allows a longer delay. The form of worth is that of an error that grows with the square of the distance between clients,
relative to the progress of a round; it is a rule of thumb and no theorem. What clients of different curvature add up to, the bias of a
resting place (docs/background/dga.md), makes no swing and is not seen. Both choose a delay of at least 1.
"""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, final

from pydantic import BeforeValidator, Field

from fedtiny.parts import Part
from fedtiny.strategies.drift import Drift
from fedtiny.strategies.round_trips import RoundTrips

Quantile = Annotated[float, Field(gt=0, le=1)]
MostSteps = Annotated[int, Field(ge=1)]


@final
class AutomaticDelay(Part):
    """The smallest delay that hides the communication."""

    kind: Literal["auto"] = "auto"
    quantile: Quantile = 0.95
    """Of the round trips that were seen, this share is hidden."""
    at_most: MostSteps = 50
    """The largest delay; memory is planned for it, as a device keeps the sums of all rounds under way."""


@final
class DriftDelay(Part):
    """The delay that reaches the target soonest, by how far clients drift apart and how much of that turns with the delay; at most the one
    that hides the communication. A rule of thumb of ours; until it has seen some rounds, drift is taken to turn in full."""

    kind: Literal["drift"] = "drift"
    quantile: Quantile = 0.95
    """Of the round trips that were seen, this share is counted."""
    at_most: MostSteps = 50
    """The largest delay; memory is planned for it, as a device keeps the sums of all rounds under way."""
    sensitivity: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """How much harm the same drift does; the larger, the smaller the delay."""


def _named(value: Any) -> Any:
    """`delay: auto` is `delay: {kind: auto}`."""
    return {"kind": value} if value in ("auto", "drift") else value


ChosenDelay = Annotated[AutomaticDelay | DriftDelay, Field(discriminator="kind")]
Delay = Annotated[Annotated[int, Field(ge=0)] | ChosenDelay, BeforeValidator(_named)]
"""What `strategy.delay` may be: local steps, or how they are chosen."""


def largest(delay: int | AutomaticDelay | DriftDelay, local_steps: int) -> int:
    """The largest delay that may come of it; choosing begins with K steps."""
    return delay if isinstance(delay, int) else max(delay.at_most, min(local_steps, delay.at_most))


@dataclass
class DelayChooser:
    """Chooses the delay of one round after the other, from what has come by then."""

    part: AutomaticDelay | DriftDelay
    local_steps: int
    trips: RoundTrips = field(init=False)
    drift: Drift = field(init=False)

    def __post_init__(self) -> None:
        self.trips, self.drift = RoundTrips(self.local_steps), Drift(self.local_steps)

    def delay(self, number: int) -> int:
        """D of a round: K until step times and round trips are known."""
        step, round_trip = self.trips.step, self.trips.round_trip(self.part.quantile)
        if not step or round_trip is None:
            return min(self.local_steps, self.part.at_most)
        hiding = min(max(1, math.ceil(round_trip / step - 1e-6)), self.part.at_most)
        chosen = hiding
        if isinstance(self.part, DriftDelay):
            chosen = soonest(hiding, self.local_steps, step, round_trip, self.part.sensitivity * self.drift.harm)
        return chosen


def soonest(most: int, local_steps: int, step: float, round_trip: float, drift: float) -> int:
    """The delay of 1 .. `most` whose rounds are worth most for their time (s); of equal ones the smaller."""

    def worth_per_second(delay: int) -> float:
        stall = max(0.0, round_trip - delay * step) / ((delay - 1) // local_steps + 1)
        return 1 / (1 + drift * ((delay + local_steps) / local_steps) ** 2) / (local_steps * step + stall)

    return max(range(1, most + 1), key=lambda delay: (worth_per_second(delay), -delay))
