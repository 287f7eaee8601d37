"""Pace: how many local steps a device takes where K are asked for, so that fast and slow devices work for about as long (ours).

A device with step time c_i takes K_i = max(1, floor(K c / c_i + 1/2)) steps, c being the median step time of those who take part (of an
even number, the lower of the two in the middle): half of the fleet works a little longer than it would, the other half is not waited for.

Its sums then stay what they are, sums of its own K_i gradients, so the corrections of delayed gradient averaging still cancel over the
clients, and a round with no delay is FedAvg. But clients with many steps count for more: what the average descends is about
sum_i p_i K_i f_i and no longer sum_i p_i f_i. That is the objective inconsistency of Wang, Liu, Liang, Joshi, Poor: "Tackling the Objective
Inconsistency Problem in Heterogeneous Federated Optimization" (FedNova), NeurIPS 2020. Their remedy for SGD without momentum is to send
K / K_i times the sum (equation 9 with tau_eff = K): `normalized`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of one device."""

    speed: float = 1.0
    """c / c_i: the steps it takes in the time in which the median device takes one."""
    normalized: bool = False
    """Whether what it sends counts as if it had taken as many steps as it was asked for."""

    def through(self, asked: int) -> int:
        """How many own steps stand for the first `asked` of a round: at least one, and none for none."""
        return max(1, math.floor(asked * self.speed + 0.5)) if asked else 0

    def scale(self, asked: int) -> float:
        """What a sum over a round of `asked` steps is multiplied with before it is sent."""
        return asked / self.through(asked) if self.normalized and asked else 1.0


EQUAL: Final = Pace()
"""As many steps as are asked for."""


def paces(step_times: Sequence[tuple[float, int]], *, normalized: bool) -> list[Pace]:
    """The paces of devices from (seconds of a step, how many devices are like it); at least one device."""
    median = median_seconds(step_times)
    return [Pace(median / seconds, normalized) for seconds, _ in step_times]


def median_seconds(step_times: Sequence[tuple[float, int]]) -> float:
    """c of devices with (seconds of a step, how many devices are like it); at least one device."""
    half, seen, median = sum(count for _, count in step_times) / 2, 0, 0.0
    for seconds, count in sorted(step_times):
        seen, median = seen + count, seconds
        if seen >= half:
            break
    return median
