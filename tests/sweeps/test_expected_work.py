import pytest

from fedtiny.scenario.files import load_scenario
from fedtiny.simulation.trace import TRAIN
from fedtiny.sweeps.cell import Job
from fedtiny.sweeps.expected_work import expected_macs, expected_of
from fedtiny.timing_run import run_timing


def load(tiny, **changes):
    return load_scenario(tiny(), changes)


def test_work_grows_with_rounds_steps_and_examples_and_not_with_latency(tiny):
    base = expected_macs(load(tiny))
    assert base > 0
    assert expected_macs(load(tiny, **{"stop.rounds": 200})) == pytest.approx(100 * base)
    assert expected_macs(load(tiny, **{"training.local_steps": 3})) == pytest.approx(3 * base)
    assert expected_macs(load(tiny, **{"network.latency": "9 s"})) == pytest.approx(base)


def test_a_few_rounds_say_what_all_of_them_are(tiny):
    scenario = load(tiny, stop={"virtual_time": "60 s"}, strategy={"kind": "fedasync"})
    whole = run_timing(scenario.model_copy(update={"learning": "none"}))
    columns = whole.trace.columns()
    assert whole.versions[-1].round > 200
    assert expected_macs(scenario) == pytest.approx(columns.amount[columns.kind == TRAIN].sum(), rel=0.05)


def test_a_run_that_only_its_target_ends_is_among_the_longest(tiny):
    long = expected_macs(load(tiny, stop={"rounds": 10_000}))
    assert expected_macs(load(tiny, stop={"target_accuracy": 0.9})) > long


def test_what_cannot_be_planned_is_expected_to_be_nothing(tiny, tmp_path):
    scenario = load(tiny, **{"device.memory": "1 kB"})
    assert expected_of(Job("cell", scenario, tmp_path)) == ("cell", 0.0)
