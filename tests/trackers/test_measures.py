"""What is told live and what is told later are together the rounds' table, each number once."""

import pytest

from fedtiny import experiment
from fedtiny.trackers.measures import LATER, LIVE, of_rounds, of_version, settings


@pytest.mark.parametrize(("stop", "live"), [("rounds: 5", [0, 2, 4, 5]), ("virtual_time: 700 ms", [0, 2, 4])])
def test_live_and_later_are_the_rounds_table(scenario, stop, live):
    told = {}

    def watch(state):
        if (measured := state.version and of_version(state.version)) is not None:
            told[measured.round] = dict(measured.values)

    result = experiment.run(scenario("rounds: 5", stop), progress=watch)
    assert sorted(told) == live
    later = {one.round: dict(one.values) for one in of_rounds(result.rounds, set(told))}
    assert sorted(later) == [0, 2, 4, 5]
    assert all(set(later[number]) == set(LATER) for number in told)
    for row in result.rounds.to_pylist():
        if row["accuracy"] is not None:
            assert told.get(row["round"], {}) | later[row["round"]] == pytest.approx({name: row[name] for name in (*LIVE, *LATER)})


def test_without_learning_all_rounds_are_told_in_the_end(scenario):
    result = experiment.run(scenario("name: tiny", "name: tiny\nlearning: none"))
    assert [one.round for one in of_rounds(result.rounds, set())] == [0, 1, 2, 3, 4, 5]
    assert "accuracy" not in of_rounds(result.rounds, set())[0].values


def test_settings_are_flat_and_say_every_value(scenario):
    found = settings(scenario())
    assert found["fleet.0.count"] == 2
    assert found["training.batch_size"] == 8
    assert found["strategy.kind"] == "fedavg"
    assert found["seed"] == 0
    assert all(isinstance(value, (str, int, float, bool)) for value in found.values())
