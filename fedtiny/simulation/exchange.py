"""Messages and replies in virtual time as sizes alone: a grid without Flower, learning or content.

What a strategy's timing half asks for goes through the same devices as a real run's messages; what a device does with a message
is foreseen (`effort`), and its reply is a fact: it came or it did not, with arrays or without. Whoever waits makes the clock
jump to the last reply or the timeout, and goes on before anything else happens at that instant, as `VirtualTimeGrid` does.

A device becomes SimPy objects when the first message reaches it. One whose link draws nothing at random and that does not look for
messages at times of its own is forgotten when it has nothing left to do and others are sent for: a million enrolled devices take the
memory of those at work.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import simpy

from fedtiny.errors import SimulationError
from fedtiny.fleet.fleet import Traits
from fedtiny.randomness import Streams
from fedtiny.simulation.agenda import agenda_of
from fedtiny.simulation.attendance import Attendance, Participation
from fedtiny.simulation.device import SimulatedDevice
from fedtiny.simulation.dropout import Attempts
from fedtiny.simulation.errand import Effort, Errand, Instruction
from fedtiny.simulation.roll_call import RollCall
from fedtiny.simulation.trace import Trace

__all__ = ["Effort", "Errand", "Exchange", "Instruction", "Participation", "TimeIsUp"]


class TimeIsUp(Exception):  # noqa: N818  (it ends a run as planned; it is not an error)
    """The virtual time that a scenario allows is over."""


class Exchange:
    """Sends instructions to devices and waits for their replies, in virtual time.

    `traits(number)` is the device with this running number, `lifetime` (s) how long a message and its reply are valid,
    `horizon` (s) ends the run by raising TimeIsUp, `most_staleness` is as in attendance.py, and `roll` says who is there when (left out:
    all are, always).
    """

    def __init__(
        self,
        traits: Callable[[int], Traits],
        effort: Effort,
        streams: Streams,
        trace: Trace,
        *,
        lifetime: float = math.inf,
        horizon: float = math.inf,
        most_staleness: float | None = None,
        roll: RollCall | None = None,
    ) -> None:
        self.effort, self.trace, self.roll = effort, trace, roll
        self.trace.in_rounds = most_staleness is None
        self.environment = simpy.Environment()
        self.last_arrival: int | None = None
        """The device whose reply ended the last wait; None where its timeout did."""
        self._traits, self._streams = traits, streams
        self._lifetime, self._horizon = lifetime, horizon
        self._devices: dict[int, SimulatedDevice] = {}
        self._at_work: dict[int, int] = {}
        """Messages under way, by device."""
        self._attendance = Attendance(trace, most_staleness)
        self._inbox: deque[Errand] | None = None
        self._attempts = Attempts()
        self._missing = 0

    @property
    def now(self) -> float:
        """Virtual seconds since the run began."""
        return float(self.environment.now)

    def push(self, messages: Iterable[tuple[int, Instruction]]) -> list[Errand]:
        """Sends (device number, instruction) now; those for one device travel as one burst, in order."""
        bursts: dict[int, list[Errand]] = {}
        errands = []
        for number, instruction in messages:
            errand = Errand(self, number, instruction)
            errands.append(errand)
            self._register(errand)
            burst = bursts.get(number)
            if burst is None:
                bursts[number] = [errand]
            else:
                burst.append(errand)
        at_work, devices = self._at_work, self._devices
        for number, burst in bursts.items():
            at_work[number] = at_work.get(number, 0) + len(burst)
            device = devices.get(number)
            if device is None:
                presence = None if self.roll is None else self.roll.presence(number, agenda_of(self.environment))
                device = devices[number] = SimulatedDevice(self.environment, self._traits(number), self._streams, self.trace, presence)
            if device.drops_out is not None:
                for errand in burst:
                    errand.attempt = self._attempts.count(number, errand.round, errand.instruction.piece)
            device.accept(burst)
        self._forget_idle()
        return errands

    def wait(self, errands: Sequence[Errand], timeout: float | None = None) -> list[Errand]:
        """Waits for all these replies or until the timeout (s); gives those that have come."""
        deadline = math.inf if timeout is None else self.now + timeout
        pending = [errand for errand in errands if not errand.arrived]
        for errand in pending:
            errand.awaited = True
        self._missing = len(pending)
        self._run_until(deadline)
        for errand in pending:
            errand.awaited = False
        taken = [errand for errand in errands if errand.arrived]
        for errand in taken:
            self._hand_over(errand)
        return taken

    def open_inbox(self) -> None:
        """From now on replies are taken by `wait_for_any` alone, in the order in which they come."""
        self._inbox = deque()

    def wait_for_any(self, timeout: float | None = None) -> Errand | None:
        """Waits for a reply, whosever it is, or until the timeout (s), and gives it; with 0 s, one that comes at this instant."""
        inbox = cast("deque[Errand]", self._inbox)
        if not inbox:
            self._missing, last = 1, self.last_arrival
            self._run_until(math.inf if timeout is None else self.now + timeout)
            self._missing = 0
            if timeout == 0.0 and not inbox:
                self.last_arrival = last
        if not inbox:
            return None
        errand = inbox.popleft()
        self._hand_over(errand)
        return errand

    def sleep(self, seconds: float) -> None:
        """Lets virtual time pass."""
        until = self.now + seconds
        while self.now < until:
            # a reply that nobody waits for would end a wait
            self._missing = 1
            self._run_until(until)
        self._missing = 0

    def close_round(self, number: int) -> Participation:
        """Who took part in a round, as of now; the round is then forgotten."""
        self._attempts.forget(number)
        return Participation(*self._attendance.close(number))

    # --- for an errand ------------------------------------------------------------------------------------------

    def ended(self, number: int) -> None:
        """A device has nothing more to do with one of its messages."""
        self._at_work[number] -= 1

    def arrive(self, errand: Errand) -> bool:
        """A reply, or the end of its message's lifetime; whether its round is still open."""
        errand.arrived, errand.arrived_at = True, self.now
        if errand.awaited:
            errand.awaited = False
            self._missing -= 1
            self.last_arrival = errand.number
        elif self._inbox is not None:
            self._inbox.append(errand)
            self._missing = 0
            self.last_arrival = errand.number
        return self._attendance.in_time(errand.instruction.round)

    # --- inside -------------------------------------------------------------------------------------------------

    def _hand_over(self, errand: Errand) -> None:
        if errand.expired:
            self._attendance.fail()
        else:
            self._attendance.take(errand.number, errand.instruction.round, arrays=errand.carries_arrays)

    def _register(self, errand: Errand) -> None:
        number = errand.instruction.round
        self._attendance.ask(errand.number, number)
        self.trace.asked.append((errand.number, number, self.now))
        if math.isfinite(self._lifetime):
            self.environment.timeout(self._lifetime).callbacks.append(lambda _: self._expire(errand))

    def lose(self, errand: Errand, after: float) -> None:
        """The server is told after so many seconds (s) that there will be no reply, unless the message's lifetime ends before."""
        if after:
            self.environment.timeout(after).callbacks.append(lambda _: self._expire(errand))
        else:
            self._expire(errand)

    def _expire(self, errand: Errand) -> None:
        if not errand.arrived:
            errand.expired = True
            self.arrive(errand)

    def _forget_idle(self) -> None:
        for number in [number for number, under_way in self._at_work.items() if not under_way]:
            if not self._devices[number].remembers:
                del self._devices[number], self._at_work[number]

    def _run_until(self, deadline: float) -> None:
        """Lets virtual time pass until nothing is missing or the deadline (s)."""
        end = min(deadline, self._horizon)
        if math.isinf(end):
            self._run_until_all()
            return
        peek, step = self.environment.peek, self.environment.step
        while self._missing:
            if peek() > end:
                self._jump(end)
                self.last_arrival = None
                if deadline > self._horizon:
                    raise TimeIsUp
                return
            step()

    def _run_until_all(self) -> None:
        step = self.environment.step
        try:
            while self._missing:
                step()
        except simpy.core.EmptySchedule:
            raise SimulationError(f"{self._missing} replies are awaited and nothing is scheduled that could bring them") from None

    def _jump(self, time: float) -> None:
        # a timeout that is made and consumed at once leaves nothing in the queue
        if time > self.now:
            self.environment.timeout(time - self.now)
            self.environment.step()
