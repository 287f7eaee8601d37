"""What each part of a sparse update adds to accuracy, measured by training it."""

import numpy as np
import pytest
import torch
from torch import nn

from fedtiny.design.contribution import Analysis, Subject, accuracy_of, cached_contributions, measure_contributions
from fedtiny.design.scheme_search import Contributions, Scheme
from fedtiny.models.measure import summarize
from fedtiny.models.seeded import build_seeded
from fedtiny.models.small_cnn import SmallCnn
from fedtiny.randomness import Streams
from fedtiny.training.batches import Batches
from fedtiny.training.evaluation import evaluate
from fedtiny.training.local import Examples, FlatNetwork, LocalLearner
from fedtiny.training.optimizer import SGD
from fedtiny.updates.sparse import Sparse

STREAMS = Streams(3)
ANALYSIS = Analysis(steps=30, shares=(0.5, 1.0), depths=(1,))


@pytest.fixture(scope="module")
def subject():
    network = build_seeded(SmallCnn(), (1, 8, 8), 4, lite_residual=False, seed=0)
    summary = summarize(network, "small_cnn", (1, 8, 8), 4)
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(0, 4, (160,), generator=generator)
    inputs = torch.rand(160, 1, 8, 8, generator=generator)
    for label in range(4):
        inputs[targets == label, :, 2 * label : 2 * label + 2] += 0.7
    return Subject(
        network=network,
        summary=summary,
        convolutions=2,
        plan_of=lambda scheme: Sparse(biases=scheme.biases, weights=dict(scheme.weights)).plan(summary),
        examples=Examples(inputs, targets),
        members=np.arange(20, 160),
        optimizer=SGD(learning_rate=0.05),
        batch_size=16,
        streams=STREAMS,
    )


def test_gains_are_differences_of_accuracies_measured_one_part_at_a_time(subject):
    found = measure_contributions(subject, ANALYSIS)
    accuracy = {
        (scheme.biases, tuple(scheme.weights.items())): accuracy_of(subject, scheme, ANALYSIS)
        for scheme in (Scheme(0), Scheme(1), Scheme(2), Scheme(2, {0: 0.5}), Scheme(2, {1: 1.0}))
    }
    assert found.convolutions == 2
    assert found.biases == {depth: accuracy[(depth, ())] - accuracy[(0, ())] for depth in (0, 1, 2)}
    assert found.biases[0] == 0
    assert found.weights[0][0.5] == accuracy[(2, ((0, 0.5),))] - accuracy[(2, ())]
    assert found.weights[1][1.0] == accuracy[(2, ((1, 1.0),))] - accuracy[(2, ())]
    assert sorted(found.weights) == [0, 1]


def test_an_accuracy_is_that_of_plain_training_on_what_is_not_held_out(subject):
    order = STREAMS.numpy("contribution", "held out").permutation(140)
    held_out, kept = np.sort(subject.members[order[:35]]), np.sort(subject.members[order[35:]])
    network = build_seeded(SmallCnn(), (1, 8, 8), 4, lite_residual=False, seed=0)
    flat = FlatNetwork(network, Sparse(biases=2, weights={1: 1.0}).plan(subject.summary).trainable)
    learner = LocalLearner(0, flat, subject.examples, Batches(kept, 16, STREAMS, ("contribution", 0)), subject.optimizer)
    flat.load(learner.train(flat.read(), 1, 30)[0])
    expected = evaluate(flat, Examples(subject.examples.inputs[held_out], subject.examples.targets[held_out])).accuracy
    assert accuracy_of(subject, Scheme(2, {1: 1.0}), ANALYSIS) == expected
    assert not set(held_out) & set(kept)
    assert held_out.min() >= 20


def test_training_more_helps_here(subject):
    found = measure_contributions(subject, Analysis(steps=60, shares=(1.0,), repeats=2))
    assert found.gain(Scheme(2, {0: 1.0, 1: 1.0})) > 0.05


def test_the_network_is_left_as_it_was(subject):
    before = {name: value.clone() for name, value in subject.network.state_dict().items()}
    measure_contributions(subject, Analysis(steps=2, shares=(1.0,)))
    assert all(torch.equal(value, before[name]) for name, value in subject.network.state_dict().items())
    assert isinstance(subject.network, nn.Module)


def test_progress_counts_every_measurement(subject):
    told = []
    measure_contributions(subject, Analysis(steps=1, shares=(0.5, 1.0), layers=(1,), depths=()), lambda *state: told.append(state))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)], "depths 0 and 2, one layer at two shares"


def test_about_a_dozen_depths_are_measured_unless_they_are_named():
    assert Analysis().all_depths(42) == [*range(0, 40, 4), 40, 42]
    assert Analysis(depths=(3, 7)).all_depths(42) == [0, 3, 7, 42]
    assert Analysis().all_depths(2) == [0, 1, 2]


def test_contributions_come_from_the_cache_only_for_the_same_identity(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDTINY_CACHE", str(tmp_path))
    found = Contributions(2, {0: 0.0, 2: 0.125}, {1: {0.5: -0.25}})
    calls = []

    def measure():
        calls.append(1)
        return found

    assert [cached_contributions({"seed": seed}, measure) for seed in (1, 1, 2)] == [found, found, found]
    assert len(calls) == 2


def test_a_damaged_cache_entry_is_measured_again(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDTINY_CACHE", str(tmp_path))
    found = Contributions(2, {0: 0.0}, {})
    cached_contributions({}, lambda: found)
    (entry,) = (tmp_path / "contributions").iterdir()
    entry.write_text("{")
    assert cached_contributions({}, lambda: found) == found
    assert entry.read_text() != "{"
