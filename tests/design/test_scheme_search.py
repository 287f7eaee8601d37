"""E8: schemes that a search returns fit their budget, and the exact solver finds what trying everything finds."""

import itertools

import numpy as np
import pytest

from fedtiny.design.scheme_search import Contributions, Scheme, evolve, solve
from fedtiny.errors import InfeasibleError

SHARES = (0.125, 0.25, 0.5, 1.0)


def contributions(layers, seed=0, *, below=0):
    generator = np.random.default_rng(seed)
    convolutions = layers + below
    biases = {depth: 0.0 if depth == 0 else float(generator.random()) for depth in range(convolutions + 1)}
    weights = {layer: {share: float(generator.normal(0.3, 0.5)) for share in SHARES} for layer in range(below, convolutions)}
    return Contributions(convolutions, biases, weights)


def additive(seed=1):
    """Memory that adds up: a price for every depth and every (layer, share)."""
    generator = np.random.default_rng(seed)
    prices = generator.integers(5, 60, size=100)
    return lambda scheme: 7 + 3 * scheme.biases + sum(int(prices[layer] * share * 8) for layer, share in scheme.weights.items())


def not_additive(scheme):
    """A peak: the largest of the parts, as SRAM is."""
    return max([10 * scheme.biases, *(int(100 * share) + layer for layer, share in scheme.weights.items())])


def every_scheme(measured):
    for depth in measured.biases:
        layers = measured.layers(depth)
        for shares in itertools.product((None, *SHARES), repeat=len(layers)):
            yield Scheme(depth, {layer: share for layer, share in zip(layers, shares, strict=True) if share})


def best_by_trying(measured, memory, budget):
    return max(measured.gain(scheme) for scheme in every_scheme(measured) if memory(scheme) <= budget)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("budget", [20, 150, 400, 2000])
def test_the_exact_solver_finds_what_trying_every_scheme_finds(seed, budget):
    measured, memory = contributions(4, seed, below=1), additive(seed)
    found = solve(measured, memory, budget)
    assert found.gain == pytest.approx(best_by_trying(measured, memory, budget), abs=1e-12)
    assert found.memory == memory(found.scheme) <= budget
    assert measured.gain(found.scheme) == pytest.approx(found.gain, abs=1e-12)


def test_the_exact_solver_equals_trying_on_six_layers():
    measured, memory = contributions(6, 9), additive(9)
    assert solve(measured, memory, 300).gain == pytest.approx(best_by_trying(measured, memory, 300), abs=1e-12)


@pytest.mark.parametrize("budget", [60, 150, 400])
def test_evolution_comes_close_to_the_exact_solver_and_fits(budget):
    measured, memory = contributions(8, 3, below=2), additive(3)
    exact = solve(measured, memory, budget)
    found = evolve(measured, memory, budget, np.random.default_rng(0), generations=60)
    assert found.memory == memory(found.scheme) <= budget
    assert 0.97 * exact.gain <= found.gain <= exact.gain + 1e-12


def test_evolution_works_where_memory_is_a_peak_and_does_not_add_up():
    measured = contributions(4, 5)
    found = evolve(measured, not_additive, 60, np.random.default_rng(0), generations=40)
    assert not_additive(found.scheme) <= 60
    assert found.gain == pytest.approx(best_by_trying(measured, not_additive, 60), abs=0.02)
    with pytest.raises(ValueError, match="does not add up"):
        solve(measured, not_additive, 60)


def test_the_best_gain_never_falls_over_the_generations():
    found = evolve(contributions(10, 2), additive(2), 300, np.random.default_rng(1), generations=30)
    assert len(found.history) == 30
    assert all(later >= earlier for earlier, later in itertools.pairwise(found.history))
    assert found.gain == found.history[-1]


def test_the_best_gain_never_falls_with_the_budget():
    measured, memory = contributions(7, 4), additive(4)
    gains = [solve(measured, memory, budget).gain for budget in range(10, 600, 35)]
    assert all(later >= earlier for earlier, later in itertools.pairwise(gains))
    assert gains[-1] > gains[0]


def test_every_individual_of_every_generation_fits():
    asked = []

    def memory(scheme):
        asked.append(scheme)
        return additive(6)(scheme)

    found = evolve(contributions(9, 6), memory, 120, np.random.default_rng(2), generations=5)
    assert found.memory <= 120
    assert any(additive(6)(scheme) > 120 for scheme in asked), "the search met schemes that do not fit"


def test_a_scheme_trains_weights_only_above_its_depth():
    measured, memory = contributions(8, 3, below=2), additive(3)
    for found in (solve(measured, memory, 150), evolve(measured, memory, 150, np.random.default_rng(0))):
        assert all(layer >= measured.convolutions - found.scheme.biases for layer in found.scheme.weights)


@pytest.mark.parametrize("search", [solve, lambda *arguments: evolve(*arguments, np.random.default_rng(0))])
def test_a_budget_that_nothing_fits_is_refused_with_the_numbers(search):
    with pytest.raises(InfeasibleError, match="takes 7 B and the budget is 5 B"):
        search(contributions(3), additive(), 5)


def test_the_same_generator_gives_the_same_scheme():
    measured, memory = contributions(9, 6), additive(6)
    first, second = (evolve(measured, memory, 200, np.random.default_rng(4), generations=8) for _ in range(2))
    assert first == second
