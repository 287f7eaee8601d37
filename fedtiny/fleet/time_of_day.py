"""Time of day: networks that are faster at night than in the evening, by a factor for each of the 24 hours.

With f(t) the factor of the hour that virtual time t is in, a transfer of b bytes over a link of rate r that begins at s ends at the e with

    r * (integral of f from s to e) = b,

exactly, also over midnight and several days. `starts_at` is the hour of the day at virtual time 0, of the whole fleet's clock or, where
devices live in other places, of theirs.
"""

from typing import Annotated, Final, final

from pydantic import Field, Strict

from fedtiny.parts import Part

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
_Factor = Annotated[float, Field(gt=0, le=100)]
Hours = Annotated[tuple[_Factor, ...], Strict(False), Field(min_length=24, max_length=24)]
_ALIKE: Final = (1.0,) * 24


@final
class TimeOfDay(Part):
    """What the hour of the day does to a network; factors of hours 0 to 23."""

    starts_at: Annotated[float, Field(ge=0, lt=24)] = 0.0
    """The hour of the day at virtual time 0, such as 8.5 for half past eight."""
    rates: Hours = _ALIKE
    """What both rates are multiplied by, hour by hour."""
    latencies: Hours = _ALIKE
    """What the latency of a message that is sent in this hour is multiplied by."""

    def latency_factor(self, now: float) -> float:
        """What the latency is multiplied by at a virtual time (s)."""
        return self.latencies[self._hour(now)[0]]

    def rate_factor(self, now: float) -> float:
        """What rates are multiplied by at a virtual time (s)."""
        return self.rates[self._hour(now)[0]]

    def next_hour(self, now: float) -> float:
        """Seconds from a virtual time (s) to the next full hour; more than 0."""
        return self._hour(now)[1]

    def seconds(self, begin: float, work: float) -> float:
        """How long a transfer takes that begins at a virtual time (s) and would take `work` seconds at factor 1."""
        hour, left = self._hour(begin)
        days, work = divmod(work, HOUR * sum(self.rates))
        taken = days * DAY
        while work > left * self.rates[hour]:
            work -= left * self.rates[hour]
            taken += left
            hour, left = (hour + 1) % 24, HOUR
        return taken + work / self.rates[hour]

    def work(self, begin: float, seconds: float) -> float:
        """How long what is transferred in so many seconds from a virtual time (s) on would take at factor 1."""
        hour, left = self._hour(begin)
        days, seconds = divmod(seconds, DAY)
        done = days * HOUR * sum(self.rates)
        while seconds > left:
            done += left * self.rates[hour]
            seconds -= left
            hour, left = (hour + 1) % 24, HOUR
        return done + seconds * self.rates[hour]

    def _hour(self, now: float) -> tuple[int, float]:
        """The hour of the day, and the seconds that are left of it."""
        since = (now + self.starts_at * HOUR) % DAY
        hour = int(since // HOUR) % 24
        return hour, HOUR - (since - hour * HOUR)
