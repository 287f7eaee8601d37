"""The candidates of `automatic`, and what follows from what a scenario leaves out."""

import pytest
from pydantic import ValidationError

from fedtiny.errors import ScenarioError
from fedtiny.updates.automatic import BEST_FIRST, Automatic, cheaper_than
from fedtiny.updates.full import Full
from fedtiny.updates.last import Last
from fedtiny.updates.norm_last import NormLast
from fedtiny.updates.sparse import Sparse
from fedtiny.updates.tinytl import Bias, TinyTL


def test_the_default_candidates_are_best_first():
    assert [update.kind for update in BEST_FIRST] == ["full", "tinytl", "bias", "last"]


def test_it_has_no_plan_of_its_own(lite_network):
    with pytest.raises(ScenarioError, match="for each device"):
        Automatic().plan(lite_network)


@pytest.mark.parametrize(("candidates", "trains"), [(None, True), ([Full(), Bias()], False), ([TinyTL(), Last()], True)])
def test_it_trains_lite_residual_modules_if_a_candidate_does(candidates, trains):
    assert Automatic(candidates=candidates).trains_lite_residual is trains


@pytest.mark.parametrize(
    ("update", "cheaper"),
    [
        (Full(), ["tinytl", "bias", "last"]),
        (TinyTL(), ["bias", "last"]),
        (Bias(), ["last"]),
        (Last(), []),
        (NormLast(), ["bias", "last"]),
        (Sparse(biases=2), ["bias", "last"]),
    ],
)
def test_cheaper_updates_come_after_the_stated_one(update, cheaper):
    assert [candidate.kind for candidate in cheaper_than(update)] == cheaper


def test_candidates_are_at_least_one_and_not_automatic_again():
    with pytest.raises(ValidationError, match="at least 1"):
        Automatic(candidates=[])
    with pytest.raises(ValidationError, match="automatic"):
        Automatic(candidates=[{"kind": "automatic"}])


def test_what_it_says_of_itself_makes_it_again():
    update = Automatic(candidates=[Full(), Sparse(biases=2, weights={40: 0.5})], round_time="60 s")
    assert Automatic(**update.to_plain()) == update
