"""Rounds of an app that FedTiny does not know: when one ends and the next begins, seen from the messages alone.

A round is a wave: what the server sends until it has taken replies and sends again. Where messages state their `server-round`, as those of
Flower's strategies do, waves of one number are one round: training and evaluation. A round's version of the model exists when the server
has taken the last of its replies.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Final

from flwr.app import Message

from fedtiny.federation.grid import Participation, VirtualTimeGrid
from fedtiny.federation.records import NUM_EXAMPLES, round_of
from fedtiny.recording import Version
from fedtiny.training.evaluation import Quality

ACCURACY: Final = ("accuracy", "eval_acc", "eval_accuracy", "test_accuracy", "val_accuracy")
LOSS: Final = ("loss", "eval_loss", "test_loss", "val_loss")
"""What replies to messages of type evaluate call what rounds.parquet lists, the first that there is."""


@dataclass(frozen=True)
class _Moment:
    time: float
    bytes_up: int
    bytes_down: int
    begun: int


@dataclass
class AppRounds:
    """The rounds of one run; `on_version` is told when one has ended."""

    grid: VirtualTimeGrid
    on_version: Callable[[Version], None]
    number: int = 1
    """Of the round that goes on."""
    _stated: int = 0
    _open: bool = False
    _last: _Moment | None = None
    """When the server last took replies in this round."""
    _evaluations: list[tuple[float, float | None, float | None]] = field(default_factory=list)
    """(weight, accuracy, loss) of clients."""

    def __post_init__(self) -> None:
        now = self._moment()
        self.on_version(Version(0, now.time, Participation(0, 0), None, now.bytes_up, now.bytes_down, now.begun))

    def before_push(self, messages: Sequence[Message]) -> None:
        """The server is about to send these."""
        stated = max((round_of(message.content) for message in messages if message.has_content()), default=0)
        if self._last is not None and (not stated or stated != self._stated):
            self.close()
        self._stated, self._open = stated or self._stated, self._open or bool(messages)

    def after_take(self, replies: Iterable[Message]) -> None:
        """The server has just taken these."""
        taken = list(replies)
        if taken:
            self._last = self._moment()
        self._evaluations += [found for reply in taken if (found := _evaluation(reply)) is not None]

    def close(self) -> None:
        """The round is over."""
        if not self._open:
            return
        moment, quality = self._last or self._moment(), _quality(self._evaluations)
        came = self.grid.close_round(self.number)
        trace, roll = self.grid.trace, self.grid.roll
        trace.charges += [] if roll is None else roll.charges(self.number, self.grid.now)
        self.on_version(Version(self.number, moment.time, came, quality, moment.bytes_up, moment.bytes_down, moment.begun))
        self.number, self._stated, self._open, self._last, self._evaluations = self.number + 1, 0, False, None, []

    def _moment(self) -> _Moment:
        trace = self.grid.trace
        return _Moment(self.grid.now, trace.bytes_up, trace.bytes_down, trace.begun)


def _evaluation(reply: Message) -> tuple[float, float | None, float | None] | None:
    """What a reply says of the quality of the model on its client's data."""
    if not reply.has_content() or reply.metadata.message_type.split(".")[0] != "evaluate":
        return None
    numbers: dict[str, float] = {}
    for record in reply.content.metric_records.values():
        numbers |= {key: float(value) for key, value in record.items() if isinstance(value, int | float)}
    accuracy, loss = (next((numbers[key] for key in keys if key in numbers), None) for keys in (ACCURACY, LOSS))
    return None if accuracy is None and loss is None else (numbers.get(NUM_EXAMPLES, 1.0), accuracy, loss)


def _quality(found: Sequence[tuple[float, float | None, float | None]]) -> Quality | None:
    """The means of what clients said, weighted by their examples."""
    if not found:
        return None
    accuracy = _mean([(weight, value) for weight, value, _ in found if value is not None])
    loss = _mean([(weight, value) for weight, _, value in found if value is not None])
    return Quality(accuracy, nan if loss is None else loss)


def _mean(weighted: Sequence[tuple[float, float]]) -> float | None:
    total = sum(weight for weight, _ in weighted)
    return sum(weight * value for weight, value in weighted) / total if total > 0 else None
