"""The mixes of the catalog: every number has a source, and together they spread as was published."""

import numpy as np
import pytest

from fedtiny.errors import CatalogError
from fedtiny.fleet.catalog import sources
from fedtiny.fleet.enrolled import devices_of
from fedtiny.fleet.mixes import known_mix, mix_entry, mix_facts, mix_names, mix_rows, plain_mix
from fedtiny.fleet.population import Population
from fedtiny.randomness import Streams


def phones(count):
    return devices_of(Population.model_validate({"count": count, "mix": "flash_phones"}), None, None, Streams(3))


@pytest.mark.parametrize("name", mix_names())
def test_every_number_of_a_mix_has_a_source_and_a_note(name):
    facts = mix_facts(mix_entry(name))
    assert {place.partition(".")[2] for place in facts} >= {"0.share", "1.share", "0.speed_sigma"}
    for fact in facts.values():
        assert set(fact.sources) <= set(sources())
        assert len(fact.note) > 20


@pytest.mark.parametrize("name", mix_names())
def test_a_mix_is_shown_with_its_citations_and_in_a_table(name):
    assert plain_mix(mix_entry(name))["sources"]
    assert [row["name"] for row in mix_rows()].count(name) == len(mix_entry(name).members)


def test_a_misspelt_mix_is_answered_with_the_nearest():
    with pytest.raises(CatalogError, match="the catalog has no mix 'flash_phone': did you mean 'flash_phones'"):
        known_mix("flash_phone")


def test_flash_phones_are_low_middle_and_high_as_flash_counts_them():
    fleet = phones(300_000)
    shares = np.bincount(fleet.member_of) / len(fleet)
    assert shares == pytest.approx(np.array([18820, 16428, 159]) / 35407, abs=3e-3)
    assert [group.device.name for group in fleet.groups] == ["nexus_6", "redmi_note_8", "galaxy_note_10"]


def test_flash_phones_spread_as_widely_as_the_benchmark_scores():
    """0.93 is the standard deviation of ln of 333 AI Benchmark scores; here of what phones make of a dense convolution."""
    fleet = phones(300_000)
    rates = np.array([group.device.rates.dense_convolution for group in fleet.groups])
    assert np.log(rates[fleet.member_of] * fleet.speeds(np.arange(len(fleet)))).std() == pytest.approx(0.93, abs=0.01)


def test_flash_phones_have_the_memories_of_the_published_table():
    """A quarter of 0.5, 1, 2, 3, 4, 6, 8, 12 GB, which 10, 40, 18, 13, 96, 78, 57 and 9 of 321 models have."""
    fleet = phones(300_000)
    budgets = np.array(
        [[profile.memory for profile in (*one.profiles, *[one.profiles[-1]] * (5 - len(one.profiles)))] for one in fleet.members]
    )
    found, counts = np.unique(budgets[fleet.member_of, fleet.budget_of], return_counts=True)
    assert found.tolist() == [125e6, 250e6, 500e6, 750e6, 1e9, 1.5e9, 2e9, 3e9]
    assert counts / len(fleet) == pytest.approx(np.array([10, 40, 18, 13, 96, 78, 57, 9]) / 321, abs=3e-3)
