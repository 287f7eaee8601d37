"""The app in clients/dga-overlap on a real SuperLink: trainers run ahead, are killed, and end with the model of virtual time."""

import json
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import fedtiny

APP = Path(__file__).resolve().parents[2] / "clients" / "dga-overlap"
CLOSE = 1e-6

pytestmark = pytest.mark.slow


class Overlapping:
    """A federation of two nodes, each beside a trainer."""

    def __init__(self, federation):
        self.federation, self.trainers, self.nodes = federation, {}, {}

    def socket(self, number):
        return self.federation.folder / f"{number}.sock"

    def start(self, overrides, run_ahead, step_time="0 s"):
        self.words = ["--scenario", str(APP / "scenario.yaml"), "--overrides", yaml_of(overrides)]
        self.words += ["--run-ahead", str(run_ahead), "--step-time", step_time]
        for number in range(2):
            self.start_trainer(number)
        self.federation.start(0)
        for number in range(2):
            self.start_node(number)

    def start_trainer(self, number):
        own = [
            "--partition-id",
            str(number),
            "--socket",
            str(self.socket(number)),
            "--state",
            str(self.federation.folder / f"state-{number}"),
        ]
        command = ["python", "-m", "fedtiny.deployment.overlapping.trainer", *self.words, *own]
        self.trainers[number] = self.federation.start_process(f"trainer-{number}", command)

    def start_node(self, number):
        self.nodes[number] = self.federation.start_node(number, 2, f'trainer-socket="{self.socket(number)}"')

    def log_of(self, name):
        return (self.federation.folder / f"{name}.log").read_text()


@pytest.fixture
def overlapping(one_federation):
    return Overlapping(one_federation)


def yaml_of(overrides):
    """One line of YAML without quotes, for the command line."""
    return "{" + ", ".join(f"{key}: {yaml_of(value) if isinstance(value, dict) else value}" for key, value in overrides.items()) + "}"


def check(overlapping, overrides, run_ahead, tmp_path, more=""):
    written = tmp_path / "model.safetensors"
    config = f"overrides='{yaml_of(overrides)}' run-ahead={run_ahead} final-model='{written}' {more}"
    log = overlapping.federation.run(APP, config)
    assert written.exists(), log
    simulated = fedtiny.run(fedtiny.load_scenario(APP / "scenario.yaml", overrides))
    model = load_file(written)
    distance = max(float(np.abs(model[name] - values).max()) for name, values in simulated.model.items())
    start = fedtiny.run(fedtiny.load_scenario(APP / "scenario.yaml", {**overrides, "stop.rounds": 0})).model
    moved = max(float(np.abs(model[name] - values).max()) for name, values in start.items())
    assert distance < CLOSE, f"{distance} apart, {moved} from the initial model"
    assert moved > 1000 * CLOSE
    return log


def finished(overlapping, number):
    """The rounds that a device's trainers have finished, in their order."""
    return [int(found) for found in re.findall(r"round (\d+) is finished", overlapping.log_of(f"trainer-{number}"))]


@pytest.mark.parametrize(("delay", "run_ahead"), [(20, 1), (30, 2), (10, 0)])
def test_a_trainer_that_runs_ahead_ends_with_the_model_of_the_simulation(overlapping, tmp_path, delay, run_ahead):
    overrides = {"strategy.delay": delay, "stop.rounds": 5}
    overlapping.start(overrides, run_ahead)
    check(overlapping, overrides, run_ahead, tmp_path)
    assert finished(overlapping, 0) == finished(overlapping, 1) == [1, 2, 3, 4, 5]


def test_a_trainer_and_a_supernode_that_are_killed_lose_nothing_and_train_nothing_twice(overlapping, tmp_path):
    overrides = {"strategy.delay": 20, "stop.rounds": 8}
    overlapping.start(overrides, 1, step_time="300 ms")

    def disturb():
        wait_for(lambda: len(finished(overlapping, 0)) >= 2)
        overlapping.trainers[0].send_signal(signal.SIGKILL)
        overlapping.trainers[0].wait()
        time.sleep(2)
        overlapping.start_trainer(0)
        wait_for(lambda: len(finished(overlapping, 1)) >= 4)
        overlapping.nodes[1].send_signal(signal.SIGKILL)
        overlapping.nodes[1].wait()
        overlapping.start_node(1)

    thread = threading.Thread(target=disturb)
    thread.start()
    log = check(overlapping, overrides, 1, tmp_path, "node-silence=25.0")
    thread.join()
    assert "asking" in log
    assert finished(overlapping, 0) == finished(overlapping, 1) == list(range(1, 9))


def wait_for(what, seconds=200):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_round_times_are_written(overlapping, tmp_path):
    overrides = {"strategy.delay": 20, "stop.rounds": 2}
    overlapping.start(overrides, 1)
    check(overlapping, overrides, 1, tmp_path, f"round-times='{tmp_path / 'times.json'}'")
    times = json.loads((tmp_path / "times.json").read_text())
    assert len(times) == 3
    assert times == sorted(times)
