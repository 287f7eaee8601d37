"""Which candidate a device gets, and the reason it is given."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.design.automatic import Offer, choose, size_text
from fedtiny.updates.plan import UpdatePlan


@dataclass(frozen=True)
class Ledger:
    total_bytes: int
    items: dict[str, int]


def offer(scheme, size, seconds=1.0):
    return Offer(UpdatePlan(scheme, (), True), Ledger(size, {"saved_activations": size}), seconds)


FULL, TINYTL, BIAS = offer("full", 14_200_000, 80), offer("tinytl", 5_100_000, 30), offer("bias", 900_000, 20)


@pytest.mark.parametrize(
    ("budget", "scheme", "reason"),
    [
        (20e6, "full", "full fits with 14.2 MB"),
        (14_200_000, "full", "full fits with 14.2 MB"),
        (8e6, "tinytl", "full needs 14.2 MB of 8 MB; tinytl fits with 5.1 MB"),
        (1e6, "bias", "full needs 14.2 MB of 1 MB; tinytl needs 5.1 MB of 1 MB; bias fits with 900 kB"),
    ],
)
def test_a_device_gets_the_first_that_fits_its_memory(budget, scheme, reason):
    choice = choose([FULL, TINYTL, BIAS], budget)
    assert (choice.offer.plan.scheme, choice.fits, choice.reason) == (scheme, True, reason)


def test_where_none_fits_it_is_the_one_that_needs_least():
    choice = choose([FULL, BIAS, TINYTL], 5000)
    assert (choice.offer, choice.place, choice.fits) == (BIAS, 1, False)
    assert choice.reason == "full needs 14.2 MB of 5 kB; bias needs 900 kB of 5 kB; tinytl needs 5.1 MB of 5 kB"


def test_time_decides_too_where_it_is_stated():
    choice = choose([FULL, TINYTL, BIAS], 20e6, round_time=60)
    assert (choice.offer, choice.reason) == (TINYTL, "full needs 80 s a round of 60 s; tinytl fits with 5.1 MB and 30 s a round")
    assert not choose([FULL, TINYTL, BIAS], 20e6, round_time=10).fits
    assert choose([FULL], 20e6, round_time=80).fits


SIZES_AND_TIMES = st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100)), min_size=1, max_size=6)


@given(SIZES_AND_TIMES, st.integers(1, 100), st.none() | st.integers(1, 100))
def test_nothing_better_that_fits_is_passed_over(sizes, budget, time):
    offers = [offer(str(place), size, seconds) for place, (size, seconds) in enumerate(sizes)]
    fitting = [place for place, (size, seconds) in enumerate(sizes) if size <= budget and (time is None or seconds <= time)]
    choice = choose(offers, budget, time)
    assert choice.fits == bool(fitting)
    assert choice.place == (fitting[0] if fitting else min(range(len(sizes)), key=lambda place: sizes[place][0]))


@given(st.lists(st.integers(1, 100), min_size=1, max_size=6), st.integers(1, 100), st.integers(0, 50))
def test_more_memory_never_makes_it_worse(sizes, budget, more):
    offers = [offer(str(place), size) for place, size in enumerate(sizes)]
    first, second = choose(offers, budget), choose(offers, budget + more)
    assert not first.fits or (second.fits and second.place <= first.place)


@pytest.mark.parametrize(("size", "text"), [(999, "999 B"), (1000, "1 kB"), (14_200_000, "14.2 MB"), (2.5e9, "2.5 GB")])
def test_sizes_have_units(size, text):
    assert size_text(size) == text
