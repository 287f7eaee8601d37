"""How far clients drift apart and whether a delay makes them swing, as DGA's server sees it in the sums (ours; see delay_choice.py).

With e_t^i = m_t^i - mbar_t, what client i's sum of round t deviates from their average, and lags of k rounds,

    C_k = mean_i <e_t^i, e_{t-k}^i> / ||mbar_t||^2      a running mean over the rounds.

What two rounds have in common is drift that lasts: noise of batches is another every time and averages out. A client's own sums of
the last s + 1 rounds are not corrected yet, so that its next one is, for a curvature h along its drift and kappa = eta K h,

    e_t = e* - kappa (e_{t-1} + ... + e_{t-s-1}),     hence     e_t - e_{t-1} = -kappa (e_{t-1} - e_{t-s-2}).

With a small kappa gradients hardly change on the way, e_t stays what it is and all C_k are alike. With one near 1 a client learns its own
data within a delay and unlearns them when the corrections come, e_t is about e_{t-s-2}, and C_1 is far below C_{s+2}. So

    y = mean of C_1 .. C_{s+2}                how far apart clients drift, relative to the model's own way
    swing = (1 - C_1 / C_{s+2}) K / (D + K)   how much of it turns, for K steps apart

are measured on the sums alone, and rate and curvature are in them. Noise swings too, but over s + 2 lags it adds up to little. Both show
at delays that are long enough or short enough and not at others, so they are forgotten slowly: what was seen halves in about 70 rounds.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.federation.records import Vector

_COORDINATES: Final = 1024
_KEPT: Final = 24
"""Rounds of a client that are remembered: with more than 22 rounds under way nothing is seen of a swing."""
_MEMORY: Final = 0.8
"""How much of an older C is kept in the running mean."""
_FORGETS: Final = 0.99

Deviation = NDArray[np.float32]


@dataclass
class _RunningMean:
    value: float | None = None

    def add(self, found: list[float]) -> None:
        """Takes in the mean of a round; nothing of nothing."""
        if found:
            mean = math.fsum(found) / len(found)
            self.value = mean if self.value is None else _MEMORY * self.value + (1 - _MEMORY) * mean


@dataclass
class Drift:
    """What is seen of the drift of clients that take K = `local_steps` steps a round.

    Measured on at most 1,024 elements, evenly spread over the vector, so that what is kept of a client stays small.
    """

    local_steps: int
    _next: _RunningMean = field(default_factory=_RunningMean)
    """C_1."""
    _back: _RunningMean = field(default_factory=_RunningMean)
    """C_{s+2}."""
    _period: _RunningMean = field(default_factory=_RunningMean)
    """The mean of C_1 to C_{s+2}."""
    _apart: float = 0.0
    _swing: float | None = None
    _lag: int = 0
    _alike: int = 0
    """So many rounds running had this lag."""
    _before: dict[int, deque[tuple[int, Deviation]]] = field(default_factory=dict)

    @property
    def apart(self) -> float:
        """y; C_1 until so many rounds are seen, and 0 until two are."""
        return self._apart or max(0.0, self._next.value or 0.0)

    @property
    def swing(self) -> float:
        """The swing, from 0 to 1; 1 until one could have been seen."""
        return 1.0 if self._swing is None else self._swing

    @property
    def harm(self) -> float:
        """y swing^2, what delay_choice.py goes by."""
        return self.apart * self.swing**2

    def observe(self, number: int, delay: int, sums: Iterable[tuple[int, Vector]], average: Vector) -> None:
        """The sums of a round and its delay (local steps), by client, each (elements,), and their average (elements,)."""
        self._enter((delay - 1) // self.local_steps + 2)
        chosen = np.linspace(0, len(average) - 1, min(len(average), _COORDINATES)).astype(np.int64)
        middle = average[chosen].astype(np.float64)
        size = float(middle @ middle)
        found: dict[int, list[float]] = {lag: [] for lag in range(1, self._lag + 1)}
        for client, vector in sums:
            now, kept = (vector[chosen] - middle).astype(np.float32), self._before.setdefault(client, deque(maxlen=_KEPT))
            for before, then in kept:
                if number - before in found and size > 0:
                    found[number - before].append(float(now.astype(np.float64) @ then) / size)
            kept.append((number, now))
        self._next.add(found[1])
        if self._alike > self._lag:
            self._back.add(found[self._lag])
            self._period.add([value for values in found.values() for value in values])
            self._see(delay)

    def _enter(self, lag: int) -> None:
        """A round with so many rounds from a sum to its correction and on to the next sum."""
        if lag != self._lag:
            self._lag, self._alike = lag, 0
            self._next, self._back, self._period = _RunningMean(), _RunningMean(), _RunningMean()
        self._alike += 1

    def _see(self, delay: int) -> None:
        following, back, period = self._next.value, self._back.value, self._period.value
        if following is None or back is None or period is None:
            return
        self._apart = max(period, _FORGETS * self._apart)
        turns = min(1.0, max(0.0, 1 - following / back)) if back > 0 else 0.0
        now = turns * self.local_steps / (delay + self.local_steps)
        self._swing = now if self._swing is None else max(now, _FORGETS * self._swing)
