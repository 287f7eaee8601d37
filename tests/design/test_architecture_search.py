import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.design.architecture_constraints import Bound, Constraints, Costs, smaller_ones
from fedtiny.design.architecture_search import (
    Evolution,
    SpaceSample,
    choose_space,
    cross,
    evolve,
    mutate,
    random_search,
    sample_space,
)
from fedtiny.errors import InfeasibleError
from fedtiny.models.elastic_space import (
    ElasticSpace,
    ElasticStage,
    SubNetwork,
    check,
    count,
    decode,
    encode,
    largest,
    random_subnetwork,
    smallest,
)

SPACE = ElasticSpace(stages=(ElasticStage(channels=16), ElasticStage(channels=24)), depths=(1, 2, 3), resolutions=(8, 12, 16))
SETTINGS = Evolution(population=16, generations=8)


def work(network: SubNetwork) -> int:
    """Grows with every choice, as multiply-accumulates do."""
    return network.resolution**2 * sum(kernel**2 * expansion for stage in network.stages for kernel, expansion in stage)


def constraints(most=np.inf, space=SPACE):
    """Networks that compute at most so much."""
    bound = Bound("work on a device", most, "s", "compute less")
    return Constraints(space, (bound,), lambda network: Costs(work(network), 0, {bound.name: work(network)}))


def score(network: SubNetwork) -> float:
    """Rugged enough that luck alone does not find its top: small kernels early, large late, wide blocks in the middle."""
    wanted = [(3, 6), (5, 4), (7, 3)]
    right = sum(
        (kernel == k) + (expansion == e) for stage in network.stages for (kernel, expansion), (k, e) in zip(stage, wanted, strict=False)
    )
    return right / 12 - 0.01 * abs(network.resolution - 12)


def draws(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_f4_every_individual_of_every_generation_keeps_every_bound(share):
    most = share * work(largest(SPACE))
    found = evolve(constraints(most), score, SETTINGS, draws())
    assert len(found.generations) == 1 + SETTINGS.generations
    assert max(work(one.network) for people in found.generations for one in people) <= most
    assert max(work(one.network) for one in random_search(constraints(most), score, 60, draws()).evaluated) <= most


def test_f4_a_bound_that_only_the_smallest_network_keeps_still_ends_with_it():
    found = evolve(constraints(work(smallest(SPACE))), score, SETTINGS, draws())
    assert [one.network for one in found.evaluated] == [smallest(SPACE)]
    assert len(random_search(constraints(work(smallest(SPACE))), score, 60, draws()).evaluated) == 1


def test_f4_without_bounds_nothing_is_refused():
    free, generator = constraints(), draws(5)
    first = random_subnetwork(SPACE, draws(5))
    assert free.fitting(lambda: random_subnetwork(SPACE, generator), generator) == first


def test_f4_what_cannot_be_ends_with_an_error_that_says_which_bound_and_by_how_much():
    needed = work(smallest(SPACE))
    with pytest.raises(
        InfeasibleError,
        match=f"its smallest breaks work on a device: it needs {needed} s and {needed - 100} s are allowed, 100 s too much .compute less",
    ):
        evolve(constraints(needed - 100), score, SETTINGS, draws())
    with pytest.raises(InfeasibleError, match="100 s too much"):
        random_search(constraints(needed - 100), score, 5, draws())


def test_the_best_never_gets_worse_and_counts_evaluations_once():
    looked = []
    found = evolve(constraints(), lambda network: looked.append(network) or score(network), SETTINGS, draws())
    tops = [max(one.score for one in people) for people in found.generations]
    assert tops == sorted(tops)
    assert found.best.score == tops[-1] > tops[0]
    assert len(looked) == len(set(looked)) == len(found.evaluated)


def test_evolution_beats_random_search_with_as_many_evaluations():
    most = 0.3 * work(largest(SPACE))
    pairs = []
    for seed in range(5):
        evolved = evolve(constraints(most), score, SETTINGS, draws(seed))
        drawn = random_search(constraints(most), score, len(evolved.evaluated), draws(100 + seed))
        assert len(drawn.evaluated) == len(evolved.evaluated)
        pairs.append((evolved.best.score, drawn.best.score))
    assert all(evolved > drawn for evolved, drawn in pairs)


def test_with_fresh_draws_more_of_the_children_are_networks_that_were_not_evaluated_before():
    plain = evolve(constraints(), score, SETTINGS, draws())
    fresh = evolve(constraints(), score, SETTINGS.model_copy(update={"fresh_draws": 20}), draws())
    assert 1.2 * len(plain.evaluated) < len(fresh.evaluated) <= 16 * (1 + 8)
    few = constraints(work(smallest(SPACE)))
    assert len(evolve(few, score, SETTINGS.model_copy(update={"fresh_draws": 20}), draws()).evaluated) == 1


def test_random_search_ends_where_the_space_does():
    few = SPACE.model_copy(update={"kernels": (3,), "expansions": (3,), "depths": (1, 2), "resolutions": (8,)})
    assert len(random_search(constraints(space=few), score, 60, draws()).evaluated) == count(few) == 4


@given(seed=st.integers(0, 2**32 - 1))
def test_children_are_networks_of_the_space_with_choices_of_their_parents(seed):
    generator = draws(seed)
    first, second = (random_subnetwork(SPACE, generator) for _ in range(2))
    child = cross(first, second, generator)
    check(SPACE, child)
    check(SPACE, mutate(SPACE, first, SETTINGS, generator))
    assert all(depth in pair for depth, *pair in zip(child.depths, first.depths, second.depths, strict=True))
    assert cross(first, first, generator) == first
    still = SETTINGS.model_copy(update={"gene_mutation": 0.0, "resolution_mutation": 0.0})
    assert mutate(SPACE, first, still, generator) == first


@given(number=st.integers(0, count(SPACE) - 1))
def test_smaller_ones_are_networks_of_the_space_that_compute_less(number):
    network = decode(SPACE, number)
    less = smaller_ones(SPACE, network)
    assert bool(less) == (network != smallest(SPACE))
    assert len(set(less)) == len(less)
    for one in less:
        assert encode(SPACE, one) != number
        assert work(one) < work(network)


def spaces(most):
    return [constraints(most, SPACE.model_copy(update={"resolutions": (size,)})) for size in (8, 12, 16)]


def test_f6_the_space_is_that_whose_fitting_networks_compute_most_and_others_do_not_count():
    most = 0.2 * work(largest(SPACE))
    samples = [sample_space(one, 1.0, 60, draws(3)) for one in spaces(most)]
    for one, sample in zip(spaces(most), samples, strict=True):
        generator = draws(3)
        works = [work(random_subnetwork(one.space, generator)) for _ in range(60)]
        fitting = [each for each in works if each <= most]
        assert (sample.feasible, sample.mean_macs) == (len(fitting), pytest.approx(np.mean(fitting)))
    assert choose_space(samples, spaces(most)) == int(np.argmax([sample.mean_macs for sample in samples]))


def test_f6_a_space_of_which_nothing_fits_is_left_out():
    samples = [SpaceSample(1.0, 8, 10, 10, 5.0), SpaceSample(1.0, 16, 10, 0, None), SpaceSample(1.0, 12, 10, 1, 4.0)]
    assert choose_space(samples, spaces(np.inf)) == 0
    nothing = [SpaceSample(1.0, 8, 10, 0, None)] * 3
    with pytest.raises(InfeasibleError, match="none of 30 networks drawn from 3 spaces fits, although the smallest of all does"):
        choose_space(nothing, spaces(np.inf))
    with pytest.raises(InfeasibleError, match="its smallest breaks work on a device"):
        choose_space(nothing, spaces(1.0))
