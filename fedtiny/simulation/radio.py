"""The radio of one device, which sleeps and must be woken (fleet/radio_states.py); both directions share it.

A transfer occupies its link while the radio wakes; that it does is in the trace beside it, as an activity `promotion` of the radio. A
transfer in the other direction that begins meanwhile waits for the rest of it.
"""

from typing import Final, Protocol, cast

from fedtiny.fleet.radio_states import RadioStates
from fedtiny.simulation.agenda import Agenda, Appointment, Stage
from fedtiny.simulation.battery import Battery
from fedtiny.simulation.carrier import Carrier
from fedtiny.simulation.presence import Presence
from fedtiny.simulation.trace import CANCELLED, DONE, PROMOTION, Trace
from fedtiny.simulation.work import Work


class Passenger(Protocol):
    """A message on its way through a device, as its radio knows it."""

    work: Work


class Radio:
    """What both directions know: whether the radio is awake."""

    __slots__ = ("_awake_until", "_ready", "_transfers", "agenda", "device", "presence", "states", "trace")

    def __init__(self, agenda: Agenda, states: RadioStates, device: int, trace: Trace, presence: Presence | None = None) -> None:
        self.agenda, self.states, self.device, self.trace, self.presence = agenda, states, device, trace, presence
        self._transfers = 0
        self._awake_until = self._ready = float("-inf")

    @property
    def asleep(self) -> bool:
        """Whether a transfer that begins now would have to wake it."""
        return not self._transfers and self.agenda.environment.now >= self._awake_until

    def begin(self) -> tuple[float, bool]:
        """A transfer begins: how long it must wait for the radio (s), and whether it is the one that wakes it."""
        now, wakes = self.agenda.environment.now, self.asleep
        if wakes:
            self._ready = now + self.states.promotion
        self._transfers += 1
        self._draws_tail(0.0)
        return max(0.0, self._ready - now), wakes

    def end(self) -> None:
        """A transfer has ended."""
        self._transfers -= 1
        self._awake_until = self.agenda.environment.now + self.states.inactivity
        if not self._transfers:
            self._draws_tail(self.states.inactivity)

    def owes(self, battery: Battery) -> float:
        """See `battery.Load`; what it draws does not change while it wakes."""
        return 0.0

    def wakes(self, *, now: bool) -> None:
        """It begins to wake now, which draws power, or no longer wakes."""
        presence = self.presence
        if presence is None or presence.battery is None:
            return
        if now:
            presence.load(self, presence.battery.drain.promotion)
        else:
            presence.take_off(self)

    def _draws_tail(self, seconds: float) -> None:
        if self.presence is not None:
            self.presence.tail(seconds)

    def give_up(self) -> None:
        """A transfer has ended before the radio was awake."""
        self._transfers -= 1
        if not self._transfers:
            self._awake_until = self._ready = float("-inf")


class RadioCarrier:
    """One direction behind a radio: a `Carrier` whose transfers wait until the radio is awake."""

    __slots__ = ("_begins", "_carrier", "_done", "_passenger", "_promotion", "_radio", "_rate", "_size")

    def __init__(self, radio: Radio, carrier: Carrier) -> None:
        self._radio, self._carrier = radio, carrier
        self._begins: Appointment | None = None
        self._promotion: int | None = None
        self._size, self._rate = 0, 0.0
        self._passenger: Passenger | None = None
        self._done: Stage | None = None

    def begin(self, size: int, rate: float, passenger: object, done: Stage) -> float:
        """See `Carrier`."""
        radio = self._radio
        self._size, self._rate, self._done = size, rate, done
        self._passenger = cast(Passenger, passenger)
        wait, wakes = radio.begin()
        if not wait:
            return self._carrier.begin(size, rate, self, _ENDED)
        now = radio.agenda.environment.now
        if wakes:
            self._promotion = radio.trace.begin(radio.device, self._passenger.work.round, PROMOTION, now, now + wait)
            radio.wakes(now=True)
        self._begins = radio.agenda.appoint(wait, self, _AWAKE)
        return float("inf")

    def awake(self) -> None:
        """The radio is awake, and the transfer itself begins."""
        self._begins = None
        self._end_promotion(DONE)
        self._carrier.begin(self._size, self._rate, self, _ENDED)

    def ended(self) -> None:
        """The transfer has ended."""
        self._radio.end()
        cast(Stage, self._done)[0](self._passenger)

    def stop(self) -> int:
        """See `Carrier`."""
        if self._begins is None:
            self._radio.end()
            return self._carrier.stop()
        self._begins.call_off()
        self._begins = None
        self._end_promotion(CANCELLED)
        self._radio.give_up()
        return self._size

    def sent(self) -> int:
        """See `Carrier`."""
        return 0 if self._begins is not None else self._carrier.sent()

    def _end_promotion(self, outcome: int) -> None:
        if self._promotion is not None:
            self._radio.wakes(now=False)
            if outcome == DONE:
                self._radio.trace.finish(self._promotion, outcome)
            else:
                self._radio.trace.interrupt(self._promotion, self._radio.agenda.environment.now, 0.0, outcome)
            self._promotion = None


_ENDED: Final[Stage] = (RadioCarrier.ended,)
_AWAKE: Final[Stage] = (RadioCarrier.awake,)
