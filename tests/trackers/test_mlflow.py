"""What MLflow's client reads from the store is the rounds' table: `make loggers`, which installs MLflow.

A new database takes MLflow seven seconds, so the tests share one and have an experiment each.
"""

import math

import pytest

from fedtiny.errors import InfeasibleError, InputError
from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis, split_sweep
from fedtiny.sweeps.local import processes
from fedtiny.sweeps.sweep import run_sweep
from fedtiny.trackers.destination import Destination, Logged
from fedtiny.trackers.measures import LATER, LIVE, Measured
from fedtiny.trackers.mlflow import MlflowRun

tracking = pytest.importorskip("mlflow.tracking", exc_type=ImportError)
# MLflow uses what its own libraries have deprecated
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def place(store):
    return Destination("mlflow", f"sqlite:///{store}/there/mlflow.db")


def runs(place, experiment):
    client = tracking.MlflowClient(tracking_uri=place.place)
    return client, client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def points(client, run, name):
    return sorted(client.get_metric_history(run.info.run_id, name), key=lambda point: point.step)


def test_a_scenario_that_is_refused_leaves_no_run_and_no_store(store, logged_run, place):
    with pytest.raises(InfeasibleError):
        logged_run(place, old="memory: 1 MB", new="memory: 1 kB")
    assert not (store / "there").exists()


def test_every_evaluated_round_is_a_point_at_its_round_and_virtual_time(store, logged_run, place):
    result = logged_run(place, experiment="points")
    client, (run,) = runs(place, "points")
    evaluated = [row for row in result.rounds.to_pylist() if row["accuracy"] is not None]
    for name in (*LIVE, *LATER):
        found = points(client, run, name)
        assert [point.step for point in found] == [row["round"] for row in evaluated]
        assert [point.timestamp for point in found] == [round(1000 * row["virtual_time"]) for row in evaluated]
        assert [point.value for point in found] == [row[name] for row in evaluated]
    assert run.data.params["fleet.0.count"] == "2"
    assert run.data.metrics["final/accuracy"] == pytest.approx(result.summary["accuracy"])
    assert run.data.tags["final/bottleneck"] == result.summary["bottleneck"]
    assert (run.info.status, run.info.run_name) == ("FINISHED", "the run")
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["scenario.yaml"]
    assert (store / "there" / "files").is_dir()


def test_points_are_there_while_the_run_goes_on(logged_run, place):
    seen = []

    def look(state):
        if state.phase == "rounds" and state.done == 4:
            client, (run,) = runs(place, "live")
            seen.extend(point.step for point in points(client, run, "accuracy"))

    logged_run(place, experiment="live", progress=look)
    assert seen == [0, 2, 4]


def test_a_run_that_fails_is_failed_there_and_an_interrupted_one_killed(logged_run, place):
    def stop(error):
        def raised(state):
            if state.done == 2:
                raise error

        return raised

    for error, status in ((ValueError("wrong"), "FAILED"), (KeyboardInterrupt(), "KILLED")):
        with pytest.raises(type(error)):
            logged_run(place, experiment=status, progress=stop(error))
        assert [run.info.status for run in runs(place, status)[1]] == [status]


def test_a_number_that_is_none_is_logged_as_such(scenario, place):
    tracker = MlflowRun(place, Logged((place,), "diverged", "the run"), scenario())
    tracker.write([Measured(0, 0.0, {"loss": math.inf}), Measured(1, 2.5, {"loss": math.nan})])
    tracker.close("done", {"loss": None}, 2.5)
    client, (run,) = runs(place, "diverged")
    first, last = points(client, run, "loss")
    assert first.value > 1e300  # a database has no infinity
    assert math.isnan(last.value)


def test_the_cells_of_a_sweep_on_two_processes_are_runs_of_one_experiment(tmp_path, scenario, place):
    scenario()
    base, axes = split_sweep(read_tree(tmp_path / "tiny.yaml"))
    sweep = cross(base, tmp_path, [*axes, parse_axis("network.latency=10 ms,20 ms,1 s")], 2)
    with processes(2) as executor:
        result = run_sweep(sweep, tmp_path / "sweep", executor, log=[place])
    _, found = runs(place, "tiny")
    assert len(found) == 6
    accuracies = {row["cell"]: row["accuracy"] for row in result.cells.to_pylist()}
    assert {run.info.run_name.split(", ")[-1]: run.data.metrics["final/accuracy"] for run in found} == pytest.approx(accuracies)


def test_a_store_that_mlflow_refuses_is_an_input_error(tmp_path, logged_run):
    with pytest.raises(InputError, match="--log mlflow"):
        logged_run(Destination("mlflow", f"file://{tmp_path}/mlruns"))
