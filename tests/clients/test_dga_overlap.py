"""DGA that overlaps, without SuperNodes: trainers and the grid that asks again, over a post office that loses messages."""

import itertools
import logging
import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Error, Message, MetricRecord, RecordDict

import fedtiny
from fedtiny.federation.flower_internals import server_identity
from fedtiny.federation.records import array_record

APP = Path(__file__).resolve().parents[2] / "clients" / "dga-overlap"
SILENCE = 0.5
MOST_SECONDS = 60


@pytest.fixture(autouse=True)
def app(monkeypatch):
    """The app's folder, from where its modules come."""
    monkeypatch.syspath_prepend(str(APP))
    monkeypatch.setattr(logging.getLogger("flwr"), "level", logging.ERROR)
    from fedtiny.deployment.overlapping import retrying_grid

    monkeypatch.setattr(retrying_grid, "PAUSE", 0.05)


class PostOffice:
    """A grid of nodes each of which handles one message after the other.

    `fate(number, count)` says what becomes of a node's next message: "answer", "lose" (without a word), "fail", "die" (the message is
    lost, and the node comes back under another id) or "die late" (after the work).
    """

    def __init__(self, trainers, fate):
        self.trainers, self.fate = trainers, fate
        self.replies, self.ids, self.queues, self.lock = {}, itertools.count(100), {}, threading.Lock()
        self.counts = [0] * len(trainers)
        for number in range(len(trainers)):
            self.join(number)

    def join(self, number):
        node = next(self.ids)
        self.queues[node] = queue.Queue()
        threading.Thread(target=self.work, args=(node, number), daemon=True).start()

    def work(self, node, number):
        while True:
            name, message = self.queues[node].get()
            fate = self.fate(number, self.counts[number])
            self.counts[number] += 1
            reply = None
            if fate in ("answer", "die late"):
                reply = self.answer(number, message)
            if fate == "fail":
                reply = Message(Error(6, "the process fell"), reply_to=message)
            if fate.startswith("die"):
                with self.lock:
                    del self.queues[node]
                    self.join(number)
                return
            if reply is not None:
                reply.metadata.__dict__["_reply_to_message_id"] = name
                self.replies[name] = reply

    def answer(self, number, message):
        arrays = message.content["arrays"]["trainable"].numpy() if "arrays" in message.content else None
        try:
            finished = self.trainers[number]._run("the run").asked(dict(message.content["config"]), arrays)
        except ValueError as error:
            return Message(Error(2, str(error)), reply_to=message)
        content = RecordDict({"metrics": MetricRecord(finished.metrics)})
        if finished.sum is not None:
            content["arrays"] = array_record(finished.sum)
        return Message(content, reply_to=message)

    run = None

    def set_run(self, run):
        """No run."""

    def get_node_ids(self):
        with self.lock:
            return list(self.queues)

    def push_messages(self, messages):
        names = []
        for message in messages:
            with self.lock:
                there = self.queues.get(message.metadata.dst_node_id)
            name = f"message {next(self.ids)}"
            names.append(name if there is not None else "")
            if there is not None:
                there.put((name, message))
        return names

    def pull_messages(self, message_ids):
        return [self.replies.pop(name) for name in message_ids if name in self.replies]


def federation(tmp_path, delay, run_ahead, rounds, fate):
    """What a run of the two trainers ends with, what virtual time ends with, and the rounds that each has trained."""
    from fedtiny.deployment.overlapping.retrying_grid import RetryingGrid
    from fedtiny.deployment.overlapping.run_ahead import overlapping_scenario, with_messages_for
    from fedtiny.deployment.overlapping.trainer import Device, Trainer

    scenario = overlapping_scenario(APP / "scenario.yaml", {"strategy.delay": delay, "stop.rounds": rounds})
    trained = [[], []]

    class Counting(Device):
        def train(self, content, state):
            trained[self.number].append(content["config"]["server-round"])
            return Device.train(self, content, state)

    trainers = [Trainer(Counting(fedtiny.prepare(scenario), number, run_ahead, 0.0), tmp_path / str(number)) for number in range(2)]
    office = PostOffice(trainers, fate)
    world = fedtiny.prepare(with_messages_for(scenario, run_ahead))
    with server_identity():
        last = fedtiny.serve(world, RetryingGrid(office, 60.0, SILENCE), lambda version: None)
    return fedtiny.model_of(world, last.trainable), fedtiny.run(scenario).model, trained


def check(tmp_path, delay, run_ahead, fate, rounds=5):
    found = []
    run = threading.Thread(target=lambda: found.append(federation(tmp_path, delay, run_ahead, rounds, fate)), daemon=True)
    run.start()
    run.join(MOST_SECONDS)
    ((real, virtual, trained),) = found
    assert max(float(np.abs(real[name] - values).max()) for name, values in virtual.items()) < 1e-6
    assert trained == [list(range(1, rounds + 1))] * 2


def test_the_client_app_that_a_supernode_starts_for_every_message_imports_no_torch():
    said = "import sys, fedtiny.deployment.overlapping.client_app; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(("delay", "run_ahead"), [(10, 0), (20, 0), (20, 1), (20, 2), (30, 2)])
def test_trainers_that_run_ahead_end_with_the_model_of_virtual_time(tmp_path, delay, run_ahead):
    check(tmp_path, delay, run_ahead, lambda number, count: "answer")


@pytest.mark.parametrize("run_ahead", [0, 1])
@pytest.mark.parametrize("fate", ["lose", "fail", "die", "die late"])
def test_a_message_that_fails_is_asked_again_and_nothing_is_trained_twice(tmp_path, run_ahead, fate):
    check(tmp_path, 20, run_ahead, lambda number, count: fate if (number, count) in {(1, 1), (0, 3)} else "answer")


@pytest.mark.parametrize("seed", range(4))
def test_any_sequence_of_losses_and_deaths_ends_with_the_same_model(tmp_path, seed):
    drawn = np.random.default_rng(seed)
    fates = [list(drawn.choice(["answer", "answer", "lose", "fail", "die late"], size=6)) for _ in range(2)]
    check(tmp_path, 20, seed % 2, lambda number, count: fates[number][count] if count < 6 else "answer", rounds=4)
