"""How long something lasts, such as a session of a phone or the gap between two: distributions of lengths (s).

Each says its mean, draws lengths by the inverse of its distribution function, and draws what is left of a length that is met at a
moment which knows nothing of it. That is longer than one might think: long lengths are met more often. The length that is met has
the density x f(x) / mean, and is as far along as a uniform number says (Cox, Renewal Theory, 1962, section 5.3).
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Protocol, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fedtiny.parts import Part
from fedtiny.units import PositiveSeconds

Floats = NDArray[np.float64]
Sigma = Annotated[float, Field(gt=0, le=4)]


class Lengths(Protocol):
    """A distribution of lengths (s)."""

    def mean(self) -> float:
        """The mean (s)."""

    def draw(self, uniform: Floats) -> Floats:
        """A length (s) for each uniform number in (0, 1)."""

    def left(self, uniform: Floats, along: Floats) -> Floats:
        """What is left (s) of a length that is met at any moment, for each two uniform numbers: which, and how far along it is."""


@dataclass(frozen=True)
class Exponential:
    """Lengths without memory: what is left of one is as long as a whole one."""

    seconds: float

    def mean(self) -> float:
        """The mean (s)."""
        return self.seconds

    def draw(self, uniform: Floats) -> Floats:
        """See `Lengths.draw`."""
        return np.asarray(-self.seconds * np.log1p(-uniform))

    def left(self, uniform: Floats, along: Floats) -> Floats:
        """See `Lengths.left`."""
        return self.draw(uniform)


@final
class LogNormalLengths(Part):
    """Log-normal lengths: median exp(sigma z), z ~ N(0, 1); where a longest is given, only those that are not longer."""

    kind: Literal["log_normal"] = "log_normal"
    median: PositiveSeconds
    """Half of all lengths are shorter (before `longest` leaves some out)."""
    sigma: Sigma
    """Standard deviation of ln(length)."""
    longest: PositiveSeconds | None = None
    """There are no longer ones."""

    def mean(self) -> float:
        """median exp(sigma^2 / 2), times what the longest leaves of it (s)."""
        return float(self.median * math.exp(self.sigma**2 / 2) * self._below(self.sigma) / self._below(0.0))

    def draw(self, uniform: Floats) -> Floats:
        """See `Lengths.draw`."""
        return self._at(uniform, 0.0)

    def left(self, uniform: Floats, along: Floats) -> Floats:
        """See `Lengths.left`: lengths that are met are log-normal too, with ln(median) + sigma^2."""
        return np.asarray(self._at(uniform, self.sigma) * (1.0 - along))

    def _at(self, uniform: Floats, shift: float) -> Floats:
        from scipy.special import ndtri  # not at the top: few scenarios need it, and importing it takes long

        return np.asarray(self.median * np.exp(self.sigma * (ndtri(uniform * self._below(shift)) + shift)))

    def _below(self, shift: float) -> float:
        """The share of lengths, as they are or as they are met, that are not longer than the longest."""
        from scipy.special import ndtr

        return 1.0 if self.longest is None else float(ndtr(math.log(self.longest / self.median) / self.sigma - shift))


@final
class QuantileLengths(Part):
    """Lengths with the quantiles that are stated, ln(length) being straight between them."""

    kind: Literal["quantiles"] = "quantiles"
    shortest: PositiveSeconds
    """None is shorter."""
    p5: PositiveSeconds
    """One in twenty is shorter."""
    p25: PositiveSeconds
    """A quarter is shorter."""
    p50: PositiveSeconds
    """Half are shorter."""
    p75: PositiveSeconds
    """A quarter is longer."""
    p95: PositiveSeconds
    """One in twenty is longer."""
    longest: PositiveSeconds
    """None is longer."""

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if not (np.diff(self._lengths()) > 0).all():
            raise ValueError("shortest, p5, p25, p50, p75, p95 and longest must ascend: each longer than the one before")
        return self

    def mean(self) -> float:
        """The mean (s)."""
        return float(self._masses().sum())

    def draw(self, uniform: Floats) -> Floats:
        """See `Lengths.draw`."""
        return np.asarray(np.exp(np.interp(uniform, _PROBABILITIES, np.log(self._lengths()))))

    def left(self, uniform: Floats, along: Floats) -> Floats:
        """See `Lengths.left`: between two quantiles, lengths that are met are uniform."""
        masses = np.concatenate([np.zeros(1), np.cumsum(self._masses())])
        return np.asarray(np.interp(uniform * masses[-1], masses, self._lengths()) * (1.0 - along))

    def _masses(self) -> Floats:
        """What lengths between each two quantiles add to the mean (s), (6,)."""
        lengths = self._lengths()
        return np.asarray(np.diff(lengths) * np.diff(_PROBABILITIES) / np.diff(np.log(lengths)))

    def _lengths(self) -> Floats:
        return np.array([self.shortest, self.p5, self.p25, self.p50, self.p75, self.p95, self.longest])


_PROBABILITIES: Final = np.array([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0])

AnyLengths = Annotated[LogNormalLengths | QuantileLengths, Field(discriminator="kind")]


def quantiles(**seconds: Any) -> QuantileLengths:
    """Lengths with these quantiles (s), from Python."""
    return QuantileLengths.model_validate({key: f"{value!r} s" for key, value in seconds.items()})
