"""A last linear layer alone, in closed form: the same as one client after the other by autograd, and chosen by a fixed rule."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from fedtiny.randomness import Streams
from fedtiny.training.batches import Batches
from fedtiny.training.cohort import CohortTrainer
from fedtiny.training.cohort_head import descends
from fedtiny.training.cohort_lanes import Lane
from fedtiny.training.local import Examples, FlatNetwork, LocalLearner
from fedtiny.training.local_work import LocalWork
from fedtiny.training.optimizer import SGD, Adam
from fedtiny.updates.layout import own_elements

CLASSES, PIXELS, CLIENTS = 4, 36, 5
RAGGED, WHOLE, ONE_BATCH = (9, 12, 3, 14, 11), (15, 15, 15, 15, 15), (2, 3, 5, 1, 4)
SGD_OF_ALL_KINDS = {"plain": SGD(learning_rate=0.1), "momentum": SGD(learning_rate=0.1, momentum=0.9), "adam": Adam()}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def linear(*, bias=True, frozen=False, dtype=torch.float64):
    """Logistic regression, or the same on frozen features."""
    torch.manual_seed(0)
    features = [nn.Linear(PIXELS, 20), nn.Tanh()] if frozen else []
    network = nn.Sequential(nn.Flatten(), *features, nn.Linear(20 if frozen else PIXELS, CLASSES, bias=bias)).to(dtype)
    last = len(network) - 1
    return FlatNetwork(network, [f"{last}.weight", *([f"{last}.bias"] if bias else [])])


def learners_on(flat, *, sizes=RAGGED, soft=False, **changes):
    generator, total, dtype = torch.Generator().manual_seed(1), sum(sizes), flat.weights.dtype
    inputs = torch.randn(total, 1, 6, 6, generator=generator, dtype=torch.float64).to(dtype)
    targets = torch.randint(0, CLASSES, (total,), generator=generator)
    if soft:
        targets = 0.7 * torch.rand(total, CLASSES, generator=generator, dtype=torch.float64).to(dtype)
    starts = np.cumsum([0, *sizes])
    # not in ascending order: where an example stands among a client's own is not what its number says
    own = [np.arange(start, start + size)[::-1].copy() for start, size in zip(starts, sizes, strict=False)]
    return [
        LocalLearner(
            **{
                "number": number,
                "flat": flat,
                "examples_of_all": Examples(inputs, targets),
                "batches": Batches(indices, 5, Streams(1), ("device", number)),
                "optimizer": SGD(learning_rate=0.1),
                **changes,
            }
        )
        for number, indices in enumerate(own)
    ]


def package_of(flat, *, steps=4, shared=False, **wishes):
    start = flat.read()
    spread = [start + (0 if shared else 1e-2 * np.random.default_rng(number).normal(size=len(start))) for number in range(CLIENTS)]
    starts = [start] * CLIENTS if shared else [each.astype(start.dtype) for each in spread]
    return tuple((number, LocalWork(weights, 1 + number, steps, **wishes)) for number, weights in enumerate(starts))


def check(learners, package, tolerance=1e-12):
    plain = [learners[number].do(work) for number, work in package]
    fast = CohortTrainer(learners[0].flat, learners.__getitem__).train(package)
    for one, other in zip(fast, plain, strict=True):
        for name in ("weights", "losses", "gradient_sum", "last_gradient", "update_sum", "last_update", "state"):
            mine, theirs = getattr(one, name), getattr(other, name)
            assert (mine is None) == (theirs is None), name
            if mine is not None:
                assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype), name
                np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance, err_msg=name)
    return fast


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("sizes", [RAGGED, WHOLE, ONE_BATCH], ids=["ragged", "whole", "one_batch"])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_clients_end_where_autograd_takes_each_of_them(dtype, sizes, frozen, bias, shared):
    flat = linear(bias=bias, frozen=frozen, dtype=dtype)
    check(learners_on(flat, sizes=sizes), package_of(flat, shared=shared), TOLERANCE[dtype])


@pytest.mark.parametrize("holds_last", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_are_summed_and_the_last_one_is_held_back(holds_last, frozen):
    flat = linear(frozen=frozen)
    check(learners_on(flat), package_of(flat, rate=0.3, holds_last=holds_last))


def test_targets_may_be_distributions_that_need_not_sum_to_one():
    flat = linear()
    check(learners_on(flat, soft=True), package_of(flat))


@pytest.mark.parametrize("optimizer", SGD_OF_ALL_KINDS.values(), ids=list(SGD_OF_ALL_KINDS))
@pytest.mark.parametrize("wishes", [{"proximal": 0.5}, {"sums_updates": True}, {"learning_rate": 0.03}], ids=str)
def test_what_is_not_plain_descent_is_the_same_too(optimizer, wishes):
    flat = linear(frozen=True)
    # what an optimizer kept before must be given where steps do not begin with the first
    package = tuple((number, replace(work, first_step=1)) for number, work in package_of(flat, **wishes))
    check(learners_on(flat, optimizer=optimizer), package, 1e-11)


def test_no_steps_give_the_weights_back_and_given_weights_are_not_written_to():
    flat = linear()
    package = package_of(flat, steps=0)
    before = [work.weights.copy() for _, work in package]
    for (_, work), start, result in zip(package, before, check(learners_on(flat), package), strict=True):
        np.testing.assert_array_equal(result.weights, start)
        result.weights[:] = 0.0
        np.testing.assert_array_equal(work.weights, start)


def test_whoever_watches_sees_what_each_client_has_after_every_step():
    def watched(flat, fast):
        seen = {}
        learners = learners_on(flat, observer=lambda device, step, named: seen.update({(device, step): named}))
        if fast:
            CohortTrainer(flat, learners.__getitem__).train(package_of(flat))
        else:
            for number, work in package_of(flat):
                learners[number].do(work)
        return seen

    together, alone = watched(linear(), True), watched(linear(), False)
    assert together.keys() == alone.keys()
    for key, named in alone.items():
        for name, values in named.items():
            np.testing.assert_allclose(together[key][name], values, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("wishes", "optimizer", "found"),
    [
        ({}, SGD(), True),
        ({"learning_rate": 0.3}, SGD(), True),
        ({"rate": 0.3}, Adam(), True),
        ({}, SGD(momentum=0.5), False),
        ({}, SGD(weight_decay=0.5), False),
        ({}, Adam(), False),
        ({"proximal": 0.1}, SGD(), False),
        ({"sums_updates": True}, SGD(), False),
    ],
)
def test_plain_descent_and_nothing_else_is_taken_in_closed_form(wishes, optimizer, found):
    flat = linear()
    learner = learners_on(flat, optimizer=optimizer)[0]
    work = LocalWork(flat.read(), 1, 2, **wishes)
    assert descends(Lane(0, learner, work)) == found
    part = own_elements(flat.layout, flat.layout)
    assert not descends(Lane(0, replace(learner, part=part), work))
