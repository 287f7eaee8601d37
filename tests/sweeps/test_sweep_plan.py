import pytest

from fedtiny.cli import main
from fedtiny.errors import ScenarioError
from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis, split_sweep
from fedtiny.sweeps.sweep_plan import Estimate, plan_sweep, run_through


def crossed(path, *axes, seeds=1):
    base, found = split_sweep(read_tree(path))
    return cross(base, path.parent, [*found, *map(parse_axis, axes)], seeds)


def costing(sweep, first, again):
    return {cell.id: Estimate(cell.labels, 1, fits=True, first=first(cell), again=again) for cell in sweep.cells}


@pytest.mark.parametrize(("workers", "whole"), [(1, 24.0), (2, 12.0), (4, 11.0)])
def test_a_group_trains_once_and_its_others_run_side_by_side(tiny, workers, whole):
    sweep = crossed(tiny(), "update=full,last", "network.latency=1 ms,1 s,2 s")
    spent, took = run_through(sweep.cells, costing(sweep, lambda cell: 10.0, 1.0), workers)
    assert (spent, took) == (24.0, whole)


def test_the_longest_first(tiny):
    sweep = crossed(tiny(), "training.local_steps=1,2,3")
    costs = costing(sweep, lambda cell: float(cell.scenario.training.local_steps), None)
    assert run_through(sweep.cells, costs, 2) == (6.0, 3.0)


def test_a_plan_says_rounds_and_times_of_every_combination_and_what_does_not_fit(tiny):
    found = plan_sweep(crossed(tiny(), "device.memory=1 kB,1 MB", "network.latency=1 ms,1 s", seeds=2), 2)
    assert [one.labels["network.latency"] for one in found.estimates if not one.fits] == ["1 ms", "1 s"]
    quick, slow = (one for one in found.estimates if one.fits)
    assert (quick.runs, quick.rounds) == (2, 2)
    assert slow.virtual_time > quick.virtual_time + 3
    assert quick.first > 0
    assert quick.again > 0
    assert 0 < found.host_seconds <= found.processor_seconds
    assert found.document["runs"] == 8


def test_a_wrong_cell_is_refused_with_its_line(tiny):
    with pytest.raises(ScenarioError, match=r"tiny\.yaml:2: model: model linear cannot carry lite residual modules"):
        plan_sweep(crossed(tiny(), "update=full,tinytl"), 1)


def test_plan_of_a_sweep_is_a_table_and_a_sentence_or_json(tiny, capsys):
    words = ["plan", str(tiny()), "--axis", "network.latency=1ms..1s:3:log", "--seeds", "2", "--workers", "2"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "31.6 ms" in out
    assert "all 6 runs: about" in out
    assert main([*words, "--json"]) == 0
    assert '"host_seconds"' in capsys.readouterr().out
