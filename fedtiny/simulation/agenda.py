"""What happens at one and the same instant, in the order in which it was asked for, as few SimPy events.

SimPy keeps everything that will happen in one heap, also what happens at this very instant: ten thousand devices that take their
turn at once are ten thousand entries of which all but the last number are equal. Here they are one entry, a batch. A batch holds
only what would have stood side by side in SimPy's queue: whatever else is scheduled for this instant ends it, so that the order
is SimPy's own.
"""

from collections.abc import Callable
from typing import Any, Final

import simpy
from simpy.events import NORMAL, URGENT, EventPriority

Stage = tuple[Callable[[Any], None]]
"""What happens at an event, as SimPy calls it: with the event."""


class Agenda:
    """What an environment's devices have to do, now and later."""

    __slots__ = ("_batch", "_first", "environment")

    def __init__(self, environment: simpy.Environment) -> None:
        self.environment = environment
        self._batch: _Batch | None = None
        self._first: _Batch | None = None

    def first(self, event: object, stage: Stage) -> None:
        """A stage begins at this instant, before everything else that is scheduled for it."""
        batch = self._first
        if batch is None or batch.over:
            batch = self._first = _Batch(self.environment, URGENT)
        batch.stages.append((stage[0], event))

    def now(self, event: object, stage: Stage) -> None:
        """A stage begins at this instant, after everything that is scheduled for it."""
        batch = self._batch
        if batch is None or batch.over:
            batch = self._batch = _Batch(self.environment, NORMAL)
        batch.stages.append((stage[0], event))

    def after(self, delay: float, event: simpy.Event, stage: Stage) -> None:
        """A stage begins so many seconds from now."""
        environment = self.environment
        # a delay can be too small to move the clock
        if environment.now + delay == environment.now:
            self._batch = None
        event.callbacks = stage  # type: ignore[assignment]
        environment.schedule(event, NORMAL, delay)

    def appoint(self, delay: float, event: object, stage: Stage) -> "Appointment":
        """As `after`, for what may be called off until then, and then as if it had never been asked for."""
        appointment = Appointment(self.environment, event, stage)
        self.after(delay, appointment, _KEEP)
        return appointment

    def apart(self, callback: Callable[[simpy.Event], None]) -> None:
        """Something happens at this instant, after everything that is scheduled for it, and as an event of its own.

        Where a reply is handed to the server, the server must be able to go on before anything else happens.
        """
        self._batch = None
        self.environment.timeout(0.0).callbacks.append(callback)


class Appointment(simpy.Event):
    """A stage that begins at a time, unless it is called off before."""

    # scheduled as a success without a value, as a batch is
    _ok = True
    _value = None

    def __init__(self, environment: simpy.Environment, event: object, stage: Stage) -> None:
        self.env = environment
        self._event, self._stage = event, stage

    def keep(self) -> None:
        """The time has come."""
        self._stage[0](self._event)

    def call_off(self) -> None:
        """The stage does not begin."""
        self.callbacks = ()  # type: ignore[assignment]


class _Batch(simpy.Event):
    """Stages that begin one after another."""

    # scheduled as a success without a value, which simpy.Event says of each event in its constructor
    _ok = True
    _value = None

    def __init__(self, environment: simpy.Environment, priority: EventPriority) -> None:
        self.env = environment
        self.stages: list[tuple[Callable[[Any], None], object]] = []
        self.over = False
        self.callbacks = _BEGIN  # type: ignore[assignment]
        environment.schedule(self, priority)

    def begin(self) -> None:
        """Begins all of them, those too that are added meanwhile."""
        for stage, event in self.stages:
            stage(event)
        self.over = True


_BEGIN: Final[Stage] = (_Batch.begin,)
_KEEP: Final[Stage] = (Appointment.keep,)
_KEPT_AS: Final = "fedtiny_agenda"


def agenda_of(environment: simpy.Environment) -> Agenda:
    """The one agenda that all devices of an environment share."""
    # a register beside the environments would keep them, and all that their events hold, for ever: agendas refer to them
    agenda: Agenda | None = vars(environment).get(_KEPT_AS)
    if agenda is None:
        agenda = vars(environment)[_KEPT_AS] = Agenda(environment)
    return agenda
