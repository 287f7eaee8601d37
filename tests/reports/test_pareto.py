from fedtiny.reports.pareto import Candidate, candidate_of_cell, candidates_of_runs, front
from fedtiny.results.sweep import combinations


def points(*pairs):
    return [Candidate(f"{place}", accuracy, {"energy": cost}) for place, (cost, accuracy) in enumerate(pairs)]


def test_the_front_is_what_nobody_beats():
    candidates = points((1, 0.5), (2, 0.4), (2, 0.7), (3, 0.7), (4, 0.9), (5, 0.8))
    assert [one.name for one in front(candidates, "energy")] == ["0", "2", "4"]


def test_of_equals_all_are_on_the_front():
    assert [one.name for one in front(points((1, 0.5), (1, 0.5), (1, 0.4)), "energy")] == ["0", "1"]


def test_who_has_no_price_is_not_on_its_front():
    assert front([Candidate("x", 1.0, {})], "energy") == []


def test_runs_are_priced_by_what_they_took(fedavg, empty):
    (one,) = candidates_of_runs([fedavg, empty])
    assert one.costs["bytes"] == fedavg.summary["bytes_up"] + fedavg.summary["bytes_down"]
    assert one.costs["virtual_time"] == fedavg.summary["virtual_time"]
    assert one.costs["memory"] == 1_466_000


def test_a_combination_is_the_mean_of_its_seeds(make_sweep):
    sweep, runs = make_sweep((0, 1))
    cells = combinations(sweep)
    assert candidate_of_cell(cells[0], "x", runs) is None
    found = candidate_of_cell(cells[1], "x", runs)
    accuracies = [row["accuracy"] for row in cells[1].rows]
    assert found.accuracy == sum(accuracies) / 2


def test_what_one_seed_does_not_know_the_combination_does_not(make_sweep, make_run):
    sweep, runs = make_sweep((0, 1))
    cell = combinations(sweep)[1]
    runs = {**runs, cell.rows[0]["cell"]: make_run("mute", rounds=3, energy=False)}
    assert "energy" not in candidate_of_cell(cell, "x", runs).costs
