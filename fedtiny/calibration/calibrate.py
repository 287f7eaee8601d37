"""The calibration of this machine from end to end: steps are timed, and a profile that explains them is found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fedtiny.calibration.machine import Machine, this_machine
from fedtiny.calibration.probes import Probe, probes
from fedtiny.calibration.speed import CLASSES, fit, passes_of, speed_of
from fedtiny.calibration.timing import Clock, Timing, affordable, first_seconds, timed
from fedtiny.errors import ExperimentError
from fedtiny.training.one_thread import one_thread

Tell = Callable[[str, int, int], None]
"""(what is done, how much of it is done, how much there is) -> None."""

SECONDS: Final = 75.0
"""For timing; making the networks and looking how long they take comes on top, and is less than the rest of two minutes."""
LEAST_TURNS: Final = 3
_THREADS: Final = 1
_FIRST_LOOK: Final = 0.3


@dataclass(frozen=True)
class Measured:
    """A step, what it took, and what the profile says of it."""

    probe: Probe
    timing: Timing
    predicted: float


@dataclass(frozen=True)
class Calibration:
    """What a calibration found."""

    machine: Machine
    speed: dict[str, Any]
    """Rates, factors, bandwidth and overheads as the keys of a profile, in base units."""
    measured: Sequence[Measured]
    known: int
    """How many steps there are to time; on a slow machine the longest are left out."""
    seconds: float
    """What it all took."""

    @property
    def error(self) -> float:
        """The median absolute error of the profile on the steps that it was fitted to."""
        return float(np.median(self._errors))

    @property
    def ninth_decile(self) -> float:
        """What nine in ten of these errors are within."""
        return float(np.quantile(self._errors, 0.9))

    @property
    def spread(self) -> float:
        """How far the quartiles of a step's times lie apart, relative to their median: the median of all steps."""
        return float(np.median([each.timing.spread for each in self.measured]))

    @property
    def _errors(self) -> list[float]:
        return [abs(each.predicted / each.timing.seconds - 1) for each in self.measured]


@one_thread()
def calibrate_machine(clock: Clock, seconds: float = SECONDS, tell: Tell | None = None) -> Calibration:
    """Times training steps on this machine for about so many seconds, and fits a profile to them.

    Raises ExperimentError where the time is too short to see every class of operators.
    """
    begin = clock()
    known = _made(tell)
    looks = first_seconds([probe.step for probe in known], clock, seconds * _FIRST_LOOK)
    kept = [known[place] for place in affordable(looks, seconds * (1 - _FIRST_LOOK), LEAST_TURNS)]
    passes = passes_of([(probe.summary, probe.plan, probe.batch_size) for probe in kept])
    if missing := [name for place, name in enumerate(CLASSES) if place not in passes.rate_class]:
        raise ExperimentError(
            f"{seconds:g} s are too short to measure this machine: only {len(kept)} of {len(known)} steps fit in, and none of them has "
            f"layers of class {', '.join(missing)}; allow more with --seconds"
        )
    timings = timed([probe.step for probe in kept], clock, seconds - (clock() - begin), LEAST_TURNS, _telling(tell))
    found = fit(passes, [timing.seconds for timing in timings])
    measured = [Measured(*row) for row in zip(kept, timings, passes.seconds(found).tolist(), strict=True)]
    return Calibration(this_machine(_THREADS), speed_of(found), measured, len(known), clock() - begin)


def _made(tell: Tell | None) -> list[Probe]:
    """All steps, those with the smallest batches first."""
    if tell is not None:
        tell("making networks", 0, 1)
    return sorted(probes(), key=lambda probe: probe.batch_size)


def _telling(tell: Tell | None) -> Callable[[int, int], None] | None:
    return None if tell is None else lambda done, total: tell("timing training steps", done, total)
