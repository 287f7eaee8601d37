"""The long-lived half of a device: trains while messages travel, and hands over a round when it is asked for.

    python -m fedtiny.deployment.overlapping.trainer --scenario scenario.yaml --partition-id 0 --socket /run/0.sock --state /var/lib/0

With `--run-ahead R` it begins round t as soon as the averages that round needs have come, whether or not anybody has asked for it yet:
those of the rounds through t - 1 - D/K. They come with the messages of the rounds through t - R. The steps are those of FedTiny's own
client half (fedtiny.strategies), in the same order, on the same batches: the result is DGA of delay D, however the messages travel.

It may be killed at any instant. A round is on the disk before anybody is told of it; what was finished is not trained again.
`--step-time` makes a local step take at least so long, by sleeping: a slower device than the one at hand.
"""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml
from flwr.app import ConfigRecord, RecordDict

from fedtiny.deployment.overlapping.finished_rounds import FinishedRound, RunFolder
from fedtiny.deployment.overlapping.run_ahead import overlapping_scenario, strategy_of, with_messages_for
from fedtiny.deployment.overlapping.wire import FOLLOWS, ROUND, receive, send
from fedtiny.federation.client_work import answered
from fedtiny.federation.records import array_record
from fedtiny.flower_app import learners_of
from fedtiny.preparation import World, prepare
from fedtiny.strategies.dga_client import APPLIED, AWAITS_AVERAGE, STARTS
from fedtiny.strategies.dga_orders import Order, Orders, Schedule
from fedtiny.strategies.round_rates import LEARNING_RATE, SUMS_UPDATES, rates_of, stated_rates
from fedtiny.training.local_work import LocalResult, LocalWork
from fedtiny.units import TIME, parse_quantity

log = logging.getLogger("fedtiny.trainer")
PIECE, LOCAL_STEPS = "piece", "local-steps"


@dataclass
class Device:
    """Whose data it is, what a round is, and how fast it may be."""

    world: World
    number: int
    run_ahead: int
    step_time: float

    def __post_init__(self) -> None:
        self.scenario, self.strategy = self.world.blueprint.scenario, strategy_of(self.world.blueprint.scenario)
        if not self.world.participants.takes_part(self.number):
            raise SystemExit(f"--partition-id {self.number}: training does not fit this device, or the fleet has none of that number")
        self._learner = learners_of(self.world)(self.number)

    def rounds(self) -> list[Order]:
        """What each round asks of this device, in their order, where it is asked in all of them."""
        steps = self.scenario.training.local_steps
        schedule = Schedule.constant(steps, cast(int, self.strategy.delay), whole=True)
        orders = Orders(schedule, self.scenario.stop.rounds or 0, lambda: [0])
        made = orders.start()
        for number in range(1, (self.scenario.stop.rounds or 0) + 1):
            made += orders.after(number)
        return made

    def content(self, order: Order, arrays: np.ndarray | None) -> RecordDict:
        """The message that a server would send for a round of the whole delay."""
        train_config = ConfigRecord({LOCAL_STEPS: order.steps, **stated_rates(self.scenario.training.optimizer)})
        rate = rates_of(train_config)(order.round)
        config = ConfigRecord({ROUND: order.round, PIECE: "whole", LOCAL_STEPS: order.steps, LEARNING_RATE: rate})
        config[AWAITS_AVERAGE] = order.awaits_average
        if train_config.get(SUMS_UPDATES):
            config[SUMS_UPDATES] = True
        if order.carries == "model":
            config[STARTS] = True
        if order.carries != "nothing":
            config[APPLIED] = order.through
        return self.message(config, arrays)

    def message(self, config: ConfigRecord, arrays: np.ndarray | None) -> RecordDict:
        """A message with this configuration."""
        return RecordDict({"config": config} if arrays is None else {"config": config, "arrays": array_record(arrays)})

    def train(self, content: RecordDict, state: RecordDict) -> FinishedRound:
        """Does what a message says; `state` is changed."""
        reply = answered(self.strategy.answer(content, state, self._learner), self._steps)
        return FinishedRound(reply.metrics, reply.arrays, state)

    def _steps(self, work: LocalWork) -> LocalResult:
        until = time.monotonic() + self.step_time * work.steps
        result = self._learner.do(work)
        time.sleep(max(0.0, until - time.monotonic()))
        return result


@dataclass
class Run:
    """One run of the federation on this device: what has come, and what is finished."""

    device: Device
    kept: RunFolder
    changed: threading.Condition = field(default_factory=threading.Condition)
    failure: str = ""

    def __post_init__(self) -> None:
        rounds = self.kept.rounds()
        last = self.kept.read_round(rounds[-1]) if rounds else None
        self.done = rounds[-1] if rounds else 0
        self.state = RecordDict() if last is None else last.state

    def asked(self, config: dict[str, Any], arrays: np.ndarray | None) -> FinishedRound:
        """A round, when it is finished. Its message brings what a later round needs."""
        number = int(config[ROUND])
        with self.changed:
            if self.device.run_ahead:
                self._take(number, config, arrays)
            elif number > self.done:
                if int(config[FOLLOWS]) != self.done:
                    raise _too_early(number)
                self._do(number, self.device.message(ConfigRecord(config), arrays))
            self.changed.wait_for(lambda: self.done >= number or self.failure)
        finished = self.kept.read_round(number)
        if finished is None:
            raise ValueError(self.failure or f"round {number} was finished and is not kept any more: the last one is {self.done}")
        return finished

    def _take(self, number: int, config: dict[str, Any], arrays: np.ndarray | None) -> None:
        if config.get(STARTS) and number == 1 and arrays is not None:
            self._keep("model", arrays)
        elif arrays is not None and config.get(STARTS):
            self.failure = f"round {number} brings a whole model, as after a lost message: a trainer that runs ahead cannot go back"
        elif arrays is not None:
            self._keep(f"average-{int(config[APPLIED]):06}", arrays)
        self.changed.notify_all()
        if not all(self._has_come(order) for order in self.device.rounds()[self.done : number]):
            raise _too_early(number)

    def _keep(self, name: str, arrays: np.ndarray) -> None:
        if self.kept.read_array(name) is None:
            self.kept.write_array(name, arrays)

    def go_on(self) -> None:
        """Trains round after round as soon as what it needs has come, until the last; runs in a thread of its own."""
        try:
            for order in self.device.rounds()[self.done :]:
                with self.changed:
                    self.changed.wait_for(partial(self._has_come, order))
                self._do(order.round, self.device.content(order, self._arrays(order)))
        except Exception as error:  # noqa: BLE001 - the server is told
            with self.changed:
                self.failure = repr(error)
                self.changed.notify_all()

    def _has_come(self, order: Order) -> bool:
        return order.carries == "nothing" or self._arrays(order) is not None

    def _arrays(self, order: Order) -> np.ndarray | None:
        if order.carries == "nothing":
            return None
        return self.kept.read_array("model" if order.carries == "model" else f"average-{order.through:06}")

    def _do(self, number: int, content: RecordDict) -> None:
        finished = self.device.train(content, self.state)
        self.kept.write_round(number, finished)
        log.info("round %d is finished", number)
        with self.changed:
            self.done = number
            self.kept.forget_array(f"average-{number - 100:06}")
            self.changed.notify_all()


def _too_early(number: int) -> ValueError:
    """A SuperNode handles one message at a time: while this one waited, the one it waits for could not come."""
    return ValueError(f"round {number} was asked for before an earlier round's message had come: ask again")


@dataclass
class Trainer:
    """Answers the ClientApp beside it, one run of the federation at a time."""

    device: Device
    folder: Path
    _runs: dict[str, Run] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, path: Path) -> None:
        """Listens at a socket, which only its owner may use, until the process ends."""
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        listener.bind(str(path))
        os.umask(before)
        listener.listen()
        log.info("trainer of device %d: listening at %s", self.device.number, path)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                header, arrays = receive(connection)
                finished = self._run(str(header["run"])).asked(header["config"], arrays)
                send(connection, {"metrics": finished.metrics}, finished.sum)
            except (ConnectionError, BrokenPipeError):
                return
            except Exception as error:  # noqa: BLE001 - the server is told
                send(connection, {"error": repr(error)})

    def _run(self, name: str) -> Run:
        with self._lock:
            if name not in self._runs:
                run = Run(self.device, RunFolder.of(self.folder, name))
                self._runs = {name: run}
                if self.device.run_ahead:
                    threading.Thread(target=run.go_on, daemon=True).start()
            return self._runs[name]


def main(words: Sequence[str] | None = None) -> int:
    """Runs a trainer until it is told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m fedtiny.deployment.overlapping.trainer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", type=Path, required=True, help="the scenario of the app, the same file on all nodes")
    parser.add_argument("--overrides", default="{}", help="as for the app: YAML, such as '{stop.rounds: 3}'")
    parser.add_argument("--partition-id", type=int, required=True, help="which device of the fleet this is, counted from 0")
    parser.add_argument("--socket", type=Path, required=True, help="where the ClientApp finds it; node config: trainer-socket")
    parser.add_argument("--state", type=Path, required=True, help="a folder for what is finished")
    parser.add_argument("--run-ahead", type=int, default=1, help="as for the app; 0: rounds are trained when they are asked for")
    parser.add_argument("--step-time", default="0 s", help="a local step takes at least so long, such as '500 ms'")
    chosen = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    scenario = overlapping_scenario(chosen.scenario, yaml.safe_load(chosen.overrides))
    with_messages_for(scenario, chosen.run_ahead)
    seconds = parse_quantity(chosen.step_time, TIME, "a time such as 500 ms")
    device = Device(prepare(scenario), chosen.partition_id, chosen.run_ahead, seconds)
    Trainer(device, chosen.state).serve(chosen.socket)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
