"""A run is logged where its command says, and a program that fails does not sink it."""

from pathlib import Path

import pytest

from fedtiny import experiment
from fedtiny.cli import main
from fedtiny.errors import InputError
from fedtiny.results.folder import read_run
from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis, split_sweep
from fedtiny.sweeps.shared_training import JournalOptions
from fedtiny.sweeps.sweep import run_sweep
from fedtiny.sweeps.task import sweep_log
from fedtiny.trackers.destination import Destination, Logged
from fedtiny.trackers.live import LiveLog
from fedtiny.trackers.tensorboard import TensorBoardRun

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", exc_type=ImportError)


@pytest.fixture
def here(tmp_path, monkeypatch, scenario):
    """The tiny scenario's file, in the current folder."""
    scenario()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def points(folder, name):
    found = reader.EventAccumulator(str(folder))
    found.Reload()
    return found.Scalars(name)


def test_a_command_logs_beside_the_runs_folder_and_changes_no_byte_of_the_run(here):
    assert main(["run", "tiny.yaml", "-q", "--out", "plain"]) == 0
    assert main(["run", "tiny.yaml", "-q", "--out", "runs/logged", "--log", "tensorboard"]) == 0
    for name in ("rounds.parquet", "activities.parquet", "model.safetensors"):
        assert Path("plain", name).read_bytes() == Path("runs/logged", name).read_bytes()
    accuracies = read_run("plain").rounds["accuracy"].drop_null().to_pylist()
    assert [point.value for point in points(here / "runs/tensorboard/logged", "accuracy")] == pytest.approx(accuracies)


class Here:
    """An executor of one process: this one."""

    at_once = 1

    def __call__(self, work, jobs, lost, then=lambda result: ()):
        return [work(job) for job in jobs]


def test_every_cell_of_a_sweep_is_a_run_named_by_its_values(here):
    base, axes = split_sweep(read_tree("tiny.yaml"))
    sweep = cross(base, here, [*axes, parse_axis("network.latency=10 ms,1 s")])
    run_sweep(sweep, here / "runs/tiny", Here(), **sweep_log(["tensorboard"], here / "runs/tiny", None, None), journal=JournalOptions(0))
    folders = sorted((here / "runs/tensorboard/tiny").iterdir())
    assert [folder.name.rpartition(",_")[0] for folder in folders] == ["network.latency=10_ms,_seed=0", "network.latency=1_s,_seed=0"]
    assert all(len(points(folder, "accuracy")) == 4 for folder in folders)


def test_wrong_words_and_what_cannot_be_logged_are_refused(here, capsys):
    assert main(["run", "tiny.yaml", "--log", "paper"]) == 2
    assert "choose tensorboard or mlflow" in capsys.readouterr().err
    for ray, optimize in (("auto", None), (None, "accuracy")):
        with pytest.raises(InputError, match="leave it out with"):
            sweep_log(["tensorboard"], here / "sweep", ray, optimize)


class FullDisk:
    """A program that takes the first two versions."""

    def __init__(self, destination, logged, scenario):
        self.taken = 0

    def write(self, measured):
        self.taken += 1
        if self.taken > 2:
            raise OSError("no space left on device")

    def close(self, ending, summary, virtual_time):
        raise AssertionError("it was left out")


def test_a_program_that_fails_is_warned_of_once_and_the_run_and_the_others_go_on(tmp_path, scenario):
    full, board = Destination("mlflow", "full"), Destination("tensorboard", str(tmp_path / "board"))
    log = LiveLog(Logged((full, board), "tiny", "the run"), scenario(), programs={"mlflow": FullDisk, "tensorboard": TensorBoardRun})
    with pytest.warns(UserWarning, match="mlflow at full is not told of the rest of the run: no space left") as caught:
        result = experiment.run(scenario(), progress=log.watch)
    assert len(caught) == 1
    log.complete(result)
    assert [point.step for point in points(tmp_path / "board" / "the_run", "energy")] == [0, 2, 4, 5]
