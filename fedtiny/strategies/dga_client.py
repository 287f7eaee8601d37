"""DGA's client half: continue from your own weights, correct yourself when an average comes (see dga.py).

What a client keeps in its Flower `Context`, as the bytes of flat vectors of trainable size (in a mixed fleet `weights` holds
everything that anybody trains, the others the client's own elements):

| key | what |
|---|---|
| `weights` | w^i, never overwritten by the server after the start |
| `sum` | the raw gradients of the round so far |
| `gradient` | the d-th gradient, between *before* and *after* |
| `own-t` | m^i_t of every round t whose average has not been applied |
"""

from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from fedtiny.errors import SimulationError
from fedtiny.federation.client_work import Learner, asked_steps, config_of, record_steps, steps_done
from fedtiny.federation.records import (
    ARRAYS,
    METRICS,
    NUM_EXAMPLES,
    PARTITION_ID,
    ROUND,
    TRAIN_LOSS,
    UNIFORM_WEIGHT,
    Vector,
    array_record,
    vector_of,
)

PIECE = "piece"
LEARNING_RATE = "learning-rate"
STARTS = "starts"
"""The arrays are a model to start from, not a sum of averages."""
APPLIED = "averages-through"
"""After this message, the averages of all rounds up to this one have been applied."""
AWAITS_AVERAGE = "awaits-average"
"""An average that belongs to the last step of this message comes with a later one."""

_STATE = "dga"
_OWN = "own-"


@dataclass
class _Memory:
    """A client's DGA state while it works on one message."""

    weights: Vector | None = None
    sum: Vector | None = None
    gradient: Vector | None = None
    own: dict[int, bytes] = field(default_factory=dict)
    """Sums that wait for their average, as raw bytes: most messages only hand them on."""
    open_round: int = 0
    loss: float = 0.0
    unreported: int = 0


def answer(content: RecordDict, state: RecordDict, learner: Learner) -> RecordDict:
    """One piece of DGA's work on a client; the reply of *after* and *whole* carries the round's sum of gradients.

    A client that lacks what the piece builds on takes what averages it gets, does not work, and replies no sum.
    """
    config = config_of(content)
    memory, works = _read(state), _can_work(config, state)
    worker = _Worker(memory, learner, float(cast(float, config[LEARNING_RATE])), steps_done(state), cast(int, config[ROUND]))
    arrays = vector_of(content.array_records[ARRAYS]) if ARRAYS in content else None
    reply = None
    match cast(Literal["before", "after", "whole"], config[PIECE]):
        case "before":
            worker.receive(arrays, config)
            if works:
                worker.open(asked_steps(content))
        case "after" if works:
            reply = worker.close(asked_steps(content), arrays, config)
        case "after":
            worker.apply(arrays, config)
        case "whole":
            worker.receive(arrays, config)
            if works:
                reply = worker.whole_round(asked_steps(content), bool(config[AWAITS_AVERAGE]))
    loss = worker.mean_loss()
    record_steps(state, worker.step)
    _write(state, memory)
    metrics = MetricRecord({NUM_EXAMPLES: learner.examples, UNIFORM_WEIGHT: 1.0, PARTITION_ID: learner.number, TRAIN_LOSS: loss})
    return RecordDict({METRICS: metrics} if reply is None else {ARRAYS: array_record(reply), METRICS: metrics})


def steps_of(content: RecordDict, state: RecordDict) -> int:
    """How many gradients a client with this state will take: none if it lacks what the piece builds on."""
    return asked_steps(content) if _can_work(config_of(content), state) else 0


def _can_work(config: ConfigRecord, state: RecordDict) -> bool:
    """False where an earlier message was lost: *after* builds on its *before*, everything else on a model."""
    record = state.get(_STATE)
    kept = record if isinstance(record, ConfigRecord) else {}
    if config[PIECE] == "after":
        return kept.get("open-round") == config[ROUND]
    return bool(config.get(STARTS)) or "weights" in kept


class _Worker:
    """The arithmetic of one message, on a client's memory."""

    def __init__(self, memory: _Memory, learner: Learner, rate: float, step: int, number: int) -> None:
        self.memory, self.learner, self.rate, self.step, self.number = memory, learner, rate, step, number
        self.losses: list[float] = []

    def receive(self, arrays: Vector | None, config: ConfigRecord) -> None:
        """Takes what came before a round's first gradient: a model to start from, averages, or nothing."""
        self._forget_unfinished_round()
        if config.get(STARTS):
            self._start(arrays, config)
        else:
            self.apply(arrays, config)
        if self.memory.unreported:
            self.learner.observe(self.memory.unreported, self._weights())
            self.memory.unreported = 0

    def apply(self, arrays: Vector | None, config: ConfigRecord) -> None:
        """Applies averages that belong to no update of this message; without a model there is nothing to correct."""
        if arrays is not None and self.memory.weights is not None:
            self.memory.weights -= self.rate * self._correction(arrays, config)

    def _correction(self, arrays: Vector | None, config: ConfigRecord) -> Vector:
        """mbar - m^i over the rounds this message covers; own sums that are covered are used up."""
        if arrays is None:
            return np.zeros_like(self._weights())
        correction = arrays.copy()
        for number in self._covered(config):
            correction[self.learner.own] -= np.frombuffer(self.memory.own.pop(number), dtype=arrays.dtype)
        return correction

    def open(self, steps: int) -> None:
        """*before*: d - 1 whole steps and the d-th gradient."""
        self.memory.open_round = self.number
        for _ in range(steps - 1):
            self._plain_step()
        self.memory.gradient = self._gradient()

    def close(self, steps: int, arrays: Vector | None, config: ConfigRecord) -> Vector:
        """*after*: the d-th update, corrected, and the rest of the round."""
        if self.memory.gradient is None:
            raise SimulationError(f"round {self.number}: client {self.learner.number} has no gradient to go on from")
        step = self._correction(arrays, config)
        step[self.learner.own] += self.memory.gradient
        self._weights()[:] -= self.rate * step
        self.learner.observe(self.step, self._weights())
        for _ in range(steps):
            self._plain_step()
        return self._finish_round()

    def whole_round(self, steps: int, awaits_average: bool) -> Vector:
        """*whole*: K steps; the last one is final only when the average that belongs to it has come."""
        self.memory.open_round = self.number
        for _ in range(steps - 1):
            self._plain_step()
        self._descend(self._gradient())
        if awaits_average:
            self.memory.unreported = self.step
        else:
            self.learner.observe(self.step, self._weights())
        return self._finish_round()

    def mean_loss(self) -> float:
        """Mean training loss of the gradients of this message; of the last one before, if there were none."""
        if self.losses:
            self.memory.loss = float(np.mean(self.losses))
        return self.memory.loss

    def _start(self, arrays: Vector | None, config: ConfigRecord) -> None:
        if arrays is None:
            raise SimulationError(f"round {self.number}: a message that starts a client carries no model")
        for number in self._covered(config):
            del self.memory.own[number]
        self.memory.weights = arrays
        for own in self.memory.own.values():
            arrays[self.learner.own] -= self.rate * np.frombuffer(own, dtype=arrays.dtype)

    def _covered(self, config: ConfigRecord) -> list[int]:
        return sorted(number for number in self.memory.own if number <= cast(int, config[APPLIED]))

    def _forget_unfinished_round(self) -> None:
        # its second half was lost, so no average will contain it: its steps are taken back
        memory = self.memory
        if memory.open_round and memory.sum is not None and memory.weights is not None:
            applied = memory.sum if memory.gradient is None else memory.sum - memory.gradient
            memory.weights[self.learner.own] += self.rate * applied
        memory.open_round, memory.sum, memory.gradient = 0, None, None

    def _plain_step(self) -> None:
        self._descend(self._gradient())
        self.learner.observe(self.step, self._weights())

    def _descend(self, gradient: Vector) -> None:
        self._weights()[self.learner.own] -= self.rate * gradient

    def _gradient(self) -> Vector:
        self.step += 1
        gradient, loss = self.learner.gradient(self._weights(), self.step)
        self.losses.append(loss)
        self.memory.sum = gradient.copy() if self.memory.sum is None else self.memory.sum + gradient
        return gradient

    def _finish_round(self) -> Vector:
        total = self.memory.sum
        if total is None:
            raise SimulationError(f"round {self.number}: a round without a gradient cannot be finished")
        self.memory.own[self.number] = total.tobytes()
        self.memory.open_round, self.memory.sum, self.memory.gradient = 0, None, None
        return total

    def _weights(self) -> Vector:
        if self.memory.weights is None:
            raise SimulationError(f"round {self.number}: client {self.learner.number} was asked to work before it was given a model")
        return self.memory.weights


def _read(state: RecordDict) -> _Memory:
    record = state.get(_STATE)
    if not isinstance(record, ConfigRecord):
        return _Memory()
    element = np.dtype(cast(str, record["element"]))

    def vector(key: str) -> Vector | None:
        return np.frombuffer(cast(bytes, record[key]), dtype=element).copy() if key in record else None

    return _Memory(
        weights=vector("weights"),
        sum=vector("sum"),
        gradient=vector("gradient"),
        own={int(key.removeprefix(_OWN)): cast(bytes, value) for key, value in record.items() if key.startswith(_OWN)},
        open_round=cast(int, record["open-round"]),
        loss=cast(float, record["loss"]),
        unreported=cast(int, record["unreported-step"]),
    )


def _write(state: RecordDict, memory: _Memory) -> None:
    vectors = {"weights": memory.weights, "sum": memory.sum, "gradient": memory.gradient}
    kept: dict[str, bytes] = {key: vector.tobytes() for key, vector in vectors.items() if vector is not None}
    kept |= {f"{_OWN}{number}": own for number, own in memory.own.items()}
    element = "float32" if memory.weights is None else memory.weights.dtype.name
    numbers = {"open-round": memory.open_round, "loss": memory.loss, "unreported-step": memory.unreported}
    state[_STATE] = ConfigRecord({"element": element, **numbers, **kept})
