"""The smallest scenario, evaluated every second round, and a run of it that is logged."""

import pytest

from fedtiny.scenario.files import load_with_source
from fedtiny.sweeps.run_folder import run_into
from fedtiny.trackers.destination import Logged

TINY = """\
name: tiny
model: linear
data: {kind: digits, train_examples: 32}
training: {batch_size: 8, local_steps: 1}
strategy: fedavg
fleet:
  - count: 2
    device: {kind: custom, memory: 1 MB, step_time: 100 ms, power: {idle: 1 W, active: 2 W}}
    network: {kind: custom, latency: 10 ms, energy_up: 1 uJ/B, energy_down: 1 uJ/B}
evaluation: {every: 2}
stop: {rounds: 5}
"""


@pytest.fixture
def scenario(tmp_path):
    """Loads the tiny scenario, with lines of it replaced."""

    def loaded(old="", new=""):
        path = tmp_path / "tiny.yaml"
        path.write_text(TINY.replace(old, new), encoding="utf-8")
        return load_with_source(path, [])[0]

    return loaded


@pytest.fixture
def logged_run(tmp_path, scenario):
    """Runs the tiny scenario, told to these destinations."""

    def run(*destinations, old="", new="", experiment="tiny", **options):
        logged = Logged(destinations, experiment, "the run")
        return run_into(tmp_path / "run", scenario(old, new), overwrite=True, logged=logged, **options)

    return run
