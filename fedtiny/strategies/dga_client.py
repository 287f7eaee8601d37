"""DGA's client half: continue from your own weights, correct yourself when an average comes (see dga.py).

What it keeps between messages: dga_memory.py.
"""

from collections.abc import Generator, Mapping
from typing import Any, Literal, TypeVar, cast

import numpy as np
from flwr.app import ArrayRecord, RecordDict

from fedtiny.errors import SimulationError
from fedtiny.federation.client_work import Client, ClientHalf, ClientReply, config_of, record_steps, steps_done
from fedtiny.federation.foresight import Course, Foresight
from fedtiny.federation.records import ARRAYS, LOCAL_STEPS, ROUND, Vector, values_of
from fedtiny.strategies.dga_memory import Memory, read, write
from fedtiny.strategies.round_rates import LEARNING_RATE, SUMS_UPDATES
from fedtiny.strategies.synchronous import client_metrics
from fedtiny.training.local_work import LocalResult, LocalWork

PIECE = "piece"
STARTS = "starts"
"""The arrays are a model to start from, not a sum of averages."""
APPLIED = "averages-through"
"""After this message, the averages of all rounds up to this one have been applied."""
AWAITS_AVERAGE = "awaits-average"
"""An average that belongs to the last step of this message comes with a later one."""

Correction = Literal["delayed", "stale_average", "in_upload"]
"""See `DGA.correction`."""


T = TypeVar("T")
Config = Mapping[str, Any]
"""What the configuration record of a message says."""
LocalSteps = Generator[LocalWork, LocalResult, T]
"""Wishes for local steps on the way to a T."""


def answer(content: RecordDict, state: RecordDict, client: Client, correction: Correction = "delayed") -> ClientHalf:
    """One piece of DGA's work on a client; the reply of *after* and *whole* carries the round's sum of gradients.

    A client that lacks what the piece builds on takes what averages it gets, does not work, and replies no sum.
    """
    config = config_of(content)
    asked = cast(int, config[LOCAL_STEPS])
    memory = read(state)
    works = _can_work(config, memory)
    worker = _Worker(memory, client, config, steps_done(state), correction)
    arrays = values_of(cast(ArrayRecord, content[ARRAYS])) if ARRAYS in content else None
    reply = None
    match _piece(config):
        case "before":
            worker.receive(arrays, config)
            if works:
                yield from worker.open(asked)
        case "after" if works:
            reply = yield from worker.close(asked, arrays, config)
        case "after":
            worker.apply(arrays, config)
        case "whole":
            worker.receive(arrays, config)
            if works:
                reply = yield from worker.whole_round(asked, bool(config[AWAITS_AVERAGE]))
    loss = worker.mean_loss()
    record_steps(state, worker.step)
    write(state, memory)
    return ClientReply(client_metrics(client, loss), reply)


def foresee(content: RecordDict, course: Course) -> Foresight:
    """What the answer will be like: no steps if the client lacks what the piece builds on, and a sum at the end of a round."""
    config = config_of(content)
    return foreseen(course, _piece(config), cast(int, config[ROUND]), cast(int, config[LOCAL_STEPS]), starts=bool(config.get(STARTS)))


def foreseen(course: Course, piece: str, number: int, asked: int, *, starts: bool) -> Foresight:
    """The same of a piece of round `number` that asks for so many steps, whatever brings it."""
    if piece == "after":
        works = course.open_round == number
        course.open_round = 0 if works else course.open_round
    else:
        course.has_model = works = starts or course.has_model
        course.open_round, course.open_asked = number if piece == "before" and works else 0, 0
    steps = 0
    if works:
        steps = course.pace.through(course.open_asked + asked) - course.pace.through(course.open_asked)
        course.open_asked += asked
    course.steps += steps
    return Foresight(steps, carries_arrays=works and piece != "before")


def _piece(config: Config) -> Literal["before", "after", "whole"]:
    return cast(Literal["before", "after", "whole"], config[PIECE])


def _can_work(config: Config, memory: Memory) -> bool:
    """False where an earlier message was lost: *after* builds on its *before*, everything else on a model."""
    if config[PIECE] == "after":
        return memory.open_round == cast(int, config[ROUND])
    return bool(config.get(STARTS)) or memory.weights is not None


class _Worker:
    """The arithmetic of one message, on a client's memory."""

    def __init__(self, memory: Memory, client: Client, config: Config, step: int, correction: Correction) -> None:
        self.memory, self.client, self.step, self.correction = memory, client, step, correction
        self.number, self.learning_rate = cast(int, config[ROUND]), float(cast(float, config[LEARNING_RATE]))
        self.sums_updates = bool(config.get(SUMS_UPDATES)) or not self._own_steps
        self.rate = 1.0 if self.sums_updates else self.learning_rate
        self.losses = np.zeros(0)

    def receive(self, arrays: Vector | None, config: Config) -> None:
        """Takes what came before a round's first gradient: a model to start from, averages, or nothing."""
        self._forget_unfinished_round()
        if config.get(STARTS):
            self._start(arrays, config)
        else:
            self.apply(arrays, config)
        if self.memory.unreported:
            self.client.observe(self.memory.unreported, self._weights())
            self.memory.unreported = 0

    def apply(self, arrays: Vector | None, config: Config) -> None:
        """Applies averages that belong to no update of this message; without a model there is nothing to correct."""
        if arrays is not None and self.memory.weights is not None:
            self.memory.weights = self.memory.weights - self.rate * self._correction(arrays, config)

    def _correction(self, arrays: Vector | None, config: Config) -> Vector:
        """mbar - m^i over the rounds this message covers; own sums that are covered are used up. Of `stale_average`, which keeps no
        own sums, mbar."""
        if arrays is None:
            return np.zeros_like(self._weights())
        correction = arrays.copy()
        for number in self._covered(config):
            correction[self.client.own] -= np.frombuffer(self.memory.own.pop(number), dtype=arrays.dtype)
        return correction

    def open(self, asked: int) -> LocalSteps[None]:
        """*before*: d - 1 whole steps and the d-th gradient."""
        self.memory.open_round = self.number
        self.memory.gradient = yield from self._descend(asked, holds_last=True)

    def close(self, asked: int, arrays: Vector | None, config: Config) -> LocalSteps[Vector]:
        """*after*: the d-th update, corrected, and the rest of the round."""
        if self.memory.gradient is None:
            raise SimulationError(f"round {self.number}: client {self.client.number} has no gradient to go on from")
        step = self._correction(arrays, config)
        if self.correction == "in_upload" and self.memory.sum is not None:
            self.memory.sum = self.memory.sum + step[self.client.own]
        if self._own_steps:
            step[self.client.own] += self.memory.gradient
        self.memory.weights = self._weights() - self.rate * step
        self.client.observe(self.step, self._weights())
        yield from self._descend(asked)
        return self._finish_round()

    def whole_round(self, asked: int, awaits_average: bool) -> LocalSteps[Vector]:
        """*whole*: K steps; the last one is final only when the average that belongs to it has come."""
        self.memory.open_round = self.number
        last = yield from self._descend(asked, holds_last=awaits_average)
        if last is not None:
            if self._own_steps:
                # those that the steps ended at, which are the client's own
                self._weights()[self.client.own] -= self.rate * last
            self.memory.unreported = self.step
        return self._finish_round()

    def mean_loss(self) -> float:
        """Mean training loss of the gradients of this message; of the last one before, if there were none."""
        if len(self.losses):
            # as np.mean does it, in a fifth of the time
            self.memory.loss = float(np.add.reduce(self.losses) / len(self.losses))
        return self.memory.loss

    def _start(self, arrays: Vector | None, config: Config) -> None:
        if arrays is None:
            raise SimulationError(f"round {self.number}: a message that starts a client carries no model")
        for number in self._covered(config):
            del self.memory.own[number]
        weights = self.memory.weights = arrays.copy()
        for own in self.memory.own.values():
            weights[self.client.own] -= self.rate * np.frombuffer(own, dtype=weights.dtype)

    def _covered(self, config: Config) -> list[int]:
        return sorted(number for number in self.memory.own if number <= cast(int, config[APPLIED]))

    def _forget_unfinished_round(self) -> None:
        # its second half was lost, so no average will contain it: its steps are taken back
        memory = self.memory
        if self._own_steps and memory.open_round and memory.sum is not None and memory.weights is not None:
            applied = memory.sum if memory.gradient is None else memory.sum - memory.gradient
            memory.weights = memory.weights.copy()
            memory.weights[self.client.own] += self.rate * applied
        memory.open_round, memory.asked, memory.sum, memory.gradient = 0, 0, None, None

    def _descend(self, asked: int, *, holds_last: bool = False) -> LocalSteps[Vector | None]:
        """Plain steps, as many as the client's pace makes of those that were asked for, the last one perhaps without its update; their
        gradients join the round's sum. Returns what was held back."""
        memory, first = self.memory, self.step + 1
        before, memory.asked = memory.asked, memory.asked + asked
        steps = self.client.pace.through(memory.asked) - self.client.pace.through(before)
        if not steps:
            return None
        if self.sums_updates:
            result = yield LocalWork(
                self._weights(),
                first,
                steps,
                holds_last=holds_last,
                learning_rate=self.learning_rate,
                sums_updates=True,
                applies=self._own_steps,
                state=memory.optimizer,
            )
            gradients, held, memory.optimizer = result.update_sum, result.last_update, result.state
        else:
            result = yield LocalWork(self._weights(), first, steps, self.rate, holds_last)
            gradients, held = result.gradient_sum, result.last_gradient
        self.step += steps
        self.losses = result.losses
        memory.weights = result.weights
        memory.sum = gradients if memory.sum is None or gradients is None else memory.sum + gradients
        return held

    def _finish_round(self) -> Vector:
        total = self.memory.sum
        if total is None:
            raise SimulationError(f"round {self.number}: a round without a gradient cannot be finished")
        if self._own_steps:
            self.memory.own[self.number] = total.tobytes()
        scale = self.client.pace.scale(self.memory.asked)
        self.memory.open_round, self.memory.asked, self.memory.sum, self.memory.gradient = 0, 0, None, None
        return total if scale == 1.0 else total * total.dtype.type(scale)

    @property
    def _own_steps(self) -> bool:
        """Whether the client moves by its own gradients, and not by averages alone."""
        return self.correction != "stale_average"

    def _weights(self) -> Vector:
        if self.memory.weights is None:
            raise SimulationError(f"round {self.number}: client {self.client.number} was asked to work before it was given a model")
        return self.memory.weights
