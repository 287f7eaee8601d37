import numpy as np
import pytest
import torch

from fedtiny.datasets.digits import Digits
from fedtiny.design.architecture_constraints import Constraints, Costs
from fedtiny.design.architecture_search import Evolution, evolve, random_search
from fedtiny.design.supernet import SupernetTraining, _phases, accuracy, resized, share_right, supernet, train_supernet
from fedtiny.models.elastic_space import ElasticSpace, ElasticStage, largest, random_subnetwork, smallest
from fedtiny.randomness import Streams
from fedtiny.training.local import Examples

SPACE = ElasticSpace(
    stem=8,
    stem_stride=2,
    stages=(ElasticStage(channels=16, stride=1), ElasticStage(channels=16)),
    depths=(1, 2),
    kernels=(3, 5),
    resolutions=(8,),
    feature_mix=32,
)
RECIPE = SupernetTraining(steps=60, kernel_steps=15, depth_steps=15, expansion_steps=50, networks=(1, 1, 2), batch_size=32)


@pytest.fixture(scope="module")
def digits():
    found = Digits().load(Streams(0))
    train, test = ((torch.from_numpy(inputs).float(), torch.from_numpy(targets)) for inputs, targets in (
        (found.train_inputs, found.train_targets), (found.test_inputs, found.test_targets)
    ))  # fmt: skip
    return Examples(*train), Examples(*test)


@pytest.fixture(scope="module")
def trained(digits):
    made = supernet(SPACE, 1, 10, torch.Generator().manual_seed(0))
    train_supernet(made, digits[0], RECIPE, Streams(0))
    return made


def test_all_networks_of_a_trained_supernet_know_the_digits(trained, digits):
    """A guess is right once in ten times; networks that were never drawn in training are among these."""
    drawn = [random_subnetwork(SPACE, np.random.default_rng(seed)) for seed in range(6)]
    found = [accuracy(trained, choice, digits[1]) for choice in (smallest(SPACE), *drawn, largest(SPACE))]
    assert min(found) > 0.4
    assert np.mean(found) > 0.7


def test_what_is_exported_tells_as_many_digits_right(trained, digits):
    choice = random_subnetwork(SPACE, np.random.default_rng(1))
    assert share_right(trained.export(choice).eval(), digits[1]) == accuracy(trained, choice, digits[1])


def test_kernel_matrices_are_learnt_with_the_smaller_kernels_and_not_before(digits):
    made = supernet(SPACE, 1, 10, torch.Generator().manual_seed(0))
    largest_alone = RECIPE.model_copy(update={"steps": 3, "kernel_steps": 0, "depth_steps": 0, "expansion_steps": 0})
    train_supernet(made, digits[0], largest_alone, Streams(0))
    assert all(torch.equal(matrix, torch.eye(len(matrix))) for matrix in made.matrices.values())
    train_supernet(made, digits[0], RECIPE.model_copy(update={"steps": 1, "depth_steps": 1, "expansion_steps": 1}), Streams(0))
    assert not any(torch.equal(matrix, torch.eye(len(matrix))) for matrix in made.matrices.values())


def test_choices_open_one_after_the_other_and_of_three_depths_and_expansions_the_two_largest_first():
    space = SPACE.model_copy(update={"depths": (1, 2, 3), "kernels": (3, 5, 7)})
    recipe = SupernetTraining(steps=100, kernel_steps=30, depth_steps=60, expansion_steps=60)
    phases = list(_phases(space, recipe))
    found = [(phase.space.kernels, phase.space.depths, phase.space.expansions, phase.steps, phase.networks) for phase in phases]
    assert found == [
        ((7,), (3,), (6,), 100, 1),
        ((3, 5, 7), (3,), (6,), 30, 1),
        ((3, 5, 7), (2, 3), (6,), 10, 2),
        ((3, 5, 7), (1, 2, 3), (6,), 50, 2),
        ((3, 5, 7), (1, 2, 3), (4, 6), 10, 4),
        ((3, 5, 7), (1, 2, 3), (3, 4, 6), 50, 4),
    ]
    assert [phase.opens_expansion for phase in phases] == [False, False, False, False, True, False]
    assert sum(phase.steps for phase in phases) == recipe.total


def test_training_tells_how_far_it_is_and_is_the_same_again(digits):
    told, values = [], []
    short = RECIPE.model_copy(update={"steps": 2, "kernel_steps": 1, "depth_steps": 1, "expansion_steps": 1})
    for seed in (0, 0, 1):
        made = supernet(SPACE, 1, 10, torch.Generator().manual_seed(0))
        train_supernet(made, digits[0], short, Streams(seed), lambda done, total: told.append((done, total)))
        values.append(made.network.head.weight.detach())
    assert told[:5] == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


def test_images_are_resized_as_data_sets_are():
    native, small = (Digits(image_size=size).load(Streams(0)).test_inputs[:20] for size in (None, 6))
    torch.testing.assert_close(resized(torch.from_numpy(native), 6), torch.from_numpy(small), rtol=1e-5, atol=1e-6)


def test_on_a_trained_supernet_evolution_finds_no_worse_networks_than_random_search_over_five_seeds(trained, digits):
    within = Constraints(SPACE, (), lambda choice: Costs(0, 0, {}))
    few = Examples(digits[1].inputs[:150], digits[1].targets[:150])
    known = {}

    def score(choice):
        if choice not in known:
            known[choice] = accuracy(trained, choice, few)
        return known[choice]

    gains = []
    for seed in range(5):
        evolved = evolve(within, score, Evolution(population=8, generations=5), np.random.default_rng(seed))
        drawn = random_search(within, score, len(evolved.evaluated), np.random.default_rng(50 + seed))
        gains.append(evolved.best.score - drawn.best.score)
    assert np.mean(gains) >= 0
