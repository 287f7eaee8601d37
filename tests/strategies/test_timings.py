"""Which strategies have a timing half."""

import pytest

from fedtiny.errors import ScenarioError
from fedtiny.scenario.choices import FAMILIES
from fedtiny.strategies.timings import TIMINGS, timing_of


def test_every_strategy_of_today_has_a_timing_half():
    assert {part.model_fields["kind"].default for part in FAMILIES["strategies"]} == set(TIMINGS)


def test_a_strategy_without_one_is_refused_and_those_with_one_are_named():
    with pytest.raises(ScenarioError, match=r"mystery has no timing half.*fedavg, .*dga") as error:
        timing_of("mystery")
    assert error.value.path == ("strategy",)
