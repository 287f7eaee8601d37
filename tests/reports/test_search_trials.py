import pyarrow as pa
import pytest

from fedtiny.reports.search_trials import scale_of, titled, trials, tried_all, written
from fedtiny.results.objectives import OBJECTIVES
from fedtiny.results.sweep import cells_schema


def test_trials_stand_in_the_order_in_which_they_were_tried(make_search):
    assert [trial.number for trial in trials(make_search("accuracy"))] == list(range(8))


def test_a_trial_says_how_it_ended(make_search):
    found = trials(make_search("accuracy", "time_to_target", "energy"))
    assert [trial.ending for trial in found] == ["done", "done", "never there", "does not fit", "done", "not known", "failed", "under way"]
    assert [None in trial.values for trial in found] == [False, False, True, True, False, True, True, True]


def test_a_value_is_the_mean_over_the_seeds_and_none_if_one_has_none(make_search):
    found = trials(make_search("time_to_target"))
    assert found[0].values == (pytest.approx(11.0),)
    assert found[2].values == (None,)


def test_a_sweep_has_no_trials_and_has_tried_all(make_sweep):
    sweep, _ = make_sweep((0,))
    assert trials(sweep) == []
    assert tried_all(sweep)


def test_a_search_has_tried_all_when_nothing_is_left(make_search):
    assert not tried_all(make_search("accuracy"))
    assert tried_all(make_search("accuracy", combinations=8))


@pytest.mark.parametrize(
    ("name", "value", "text", "title"),
    [
        ("accuracy", 0.8123, "81.2 %", "final accuracy (%)"),
        ("time_to_target", 90.0, "90 s", "time to target (s)"),
        ("peak_memory", 2.5e6, "2.5 MB", "training memory (MB)"),
        ("energy_to_target", 1300.0, "1.3 kJ", "energy to target (kJ)"),
        ("carbon", 3.0, "3 g CO2e", "carbon footprint (g CO2e)"),
        ("rounds", 12.0, "12", "number of rounds"),
        ("loss", None, "–", "final loss"),
    ],
)
def test_every_kind_of_objective_has_its_unit(name, value, text, title):
    objective = OBJECTIVES[name]
    assert written(objective, value).replace("\N{NO-BREAK SPACE}", " ") == text
    assert titled(objective, scale_of(objective, value or 1.0)) == title


def test_a_search_is_read_with_the_columns_of_one(make_search):
    search = make_search("accuracy")
    assert search.cells.schema == cells_schema(tuple(search.axes), searched=True)
    assert isinstance(search.cells, pa.Table)
