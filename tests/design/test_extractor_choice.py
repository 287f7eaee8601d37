import numpy as np
import pytest
import torch

from fedtiny.datasets.digits import Digits
from fedtiny.design.architecture_constraints import Bound, Constraints, Costs
from fedtiny.design.architecture_search import Evolution, evolve
from fedtiny.design.extractor_choice import features, nearest_mean_score, told_by_means
from fedtiny.design.supernet import SupernetTraining, accuracy, supernet, train_supernet
from fedtiny.models.elastic_space import ElasticSpace, ElasticStage, largest, random_subnetwork, smallest
from fedtiny.randomness import Streams
from fedtiny.training.local import Examples

SPACE = ElasticSpace(
    stem=8, stem_stride=2, stages=(ElasticStage(channels=16),), depths=(1, 2), kernels=(3, 5), resolutions=(8,), feature_mix=32
)


@pytest.fixture(scope="module")
def world():
    found = Digits().load(Streams(0))
    inputs, targets = torch.from_numpy(found.train_inputs).float(), torch.from_numpy(found.train_targets)
    made = supernet(SPACE, 1, 10, torch.Generator().manual_seed(0))
    recipe = SupernetTraining(steps=40, kernel_steps=10, depth_steps=10, expansion_steps=20, networks=(1, 1, 2), batch_size=32)
    train_supernet(made, Examples(inputs[:800], targets[:800]), recipe, Streams(0))
    return made, Examples(inputs[800:1100], targets[800:1100]), Examples(inputs[1100:], targets[1100:])


def test_the_nearest_mean_is_that_of_the_class_whose_examples_lie_around_it():
    known = torch.tensor([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0], [10.0, 2.0]])
    targets, asked = torch.tensor([3, 3, 7, 7]), torch.tensor([[1.0, 0.0], [9.0, 2.0], [8.0, 1.0]])
    assert told_by_means(known, targets, asked, torch.tensor([3, 7, 3])) == pytest.approx(2 / 3)


def test_the_unit_of_a_feature_does_not_matter():
    draws = torch.Generator().manual_seed(0)
    known, asked = torch.randn((40, 3), generator=draws), torch.randn((20, 3), generator=draws)
    targets, wanted = torch.arange(40) % 4, torch.arange(20) % 4
    units = torch.tensor([1.0, 1000.0, 0.01])
    assert told_by_means(known, targets, asked, wanted) == told_by_means(known * units, targets, asked * units, wanted)


def test_features_are_what_the_head_makes_its_logits_of(world):
    made, known, _ = world
    choice = random_subnetwork(SPACE, np.random.default_rng(3))
    found = features(made, choice, known.inputs)
    assert found.shape == (300, 32)
    with torch.no_grad():
        torch.testing.assert_close(made.network.head(found), made.logits(choice, known.inputs), rtol=1e-4, atol=1e-5)


def test_nothing_is_learnt_and_no_gradient_is_kept(world):
    made, known, asked = world
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    score = nearest_mean_score(made, known, asked)
    assert score(largest(SPACE)) > 0.5
    assert all(torch.equal(value, made.network.state_dict()[name]) for name, value in before.items())
    assert all(not value.requires_grad for value in [features(made, smallest(SPACE), known.inputs)])


def test_what_evolution_chooses_by_it_tells_more_right_than_networks_at_random_on_the_average(world):
    made, known, asked = world
    bound = Bound("blocks", 2, "s", "fewer")
    within = Constraints(SPACE, (bound,), lambda choice: Costs(0, 0, {"blocks": len(choice.stages[0])}))
    best = evolve(within, nearest_mean_score(made, known, asked), Evolution(population=6, generations=2), np.random.default_rng(0)).best
    drawn = [random_subnetwork(SPACE, np.random.default_rng(seed)) for seed in range(8)]
    assert accuracy(made, best.network, asked) > np.mean([accuracy(made, one, asked) for one in drawn])
