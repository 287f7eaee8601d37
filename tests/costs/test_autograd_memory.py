"""A step written by hand: convolution -> norm -> ReLU -> head -> loss, so that every byte can be worked out on paper."""

from types import SimpleNamespace

import pytest

from fedtiny.costs.autograd_memory import autograd_memory
from fedtiny.models.step import EdgeFacts, NodeFacts, SavedFacts, Size, StepFacts, StorageFacts, TemporaryFacts

PLAIN = SimpleNamespace(state_vectors=0, state_bytes=0, update_vectors=0)
ADAM = SimpleNamespace(state_vectors=2, state_bytes=4, update_vectors=2)
CONV, NORM, FC = "conv.weight", "norm.bias", "fc.weight"


def to_parameter(name, temporary):
    return EdgeFacts(None, 0, name, temporary, None, False)


def to_node(number, temporary=None, passed=None):
    return EdgeFacts(number, 0, None, temporary, passed, False)


def made(size, *edges):
    return TemporaryFacts(size, 0, None, frozenset(edges))


def node(name, layer, number, edges, saved=(), temporaries=()):
    return NodeFacts(name, layer, number, edges, tuple(SavedFacts(storage, frozenset(of)) for storage, of in saved), 1, temporaries)


@pytest.fixture
def step():
    wide, narrow, loss = Size(0, 100), Size(0, 10), Size(4, 0)
    return StepFacts(
        element_bytes=4,
        buffers=6,
        batch=Size(0, 50),
        layers=("conv", "norm", "fc", "loss"),
        storages=(StorageFacts(wide, 0, 1), StorageFacts(wide, 1, 2), StorageFacts(narrow, 2, 3), StorageFacts(loss, 3, None)),
        nodes=(
            node("Convolution", "conv", 0, (None, to_parameter(CONV, 0)), (), (made(Size(40, 0), 1),)),
            # keeps its input for whatever is behind it
            node("Norm", "norm", 1, (to_node(0, 0), to_parameter(NORM, 1)), [(0, (0, 1))], (made(wide, 0), made(Size(8, 0), 1))),
            # keeps its input for its weight only
            node("Linear", "fc", 2, (to_node(1, 0), to_parameter(FC, 1)), [(1, (1,))], (made(wide, 0), made(Size(20, 0), 1))),
            node("Loss", "loss", 3, (to_node(2, 0),), [(2, (0,))], (made(narrow, 0),)),
        ),
    )


@pytest.fixture
def summary(layer, make_network):
    return make_network(
        layer("conv", "convolution", 50, 25, weight=10),
        layer("norm", "normalization", 25, 25, bias=2),
        layer("fc", "linear", 25, 2, weight=5, section="head"),
    )


def courses(ledger):
    return [(one.phase, one.layer, one.items["saved_activations"], one.items["transient_activations"]) for one in ledger.moments]


def test_everything_that_nodes_keep_lives_until_they_have_run(summary, step, training):
    ledger = autograd_memory(summary, step, training(CONV, NORM, FC), 2, optimizer=PLAIN)
    assert courses(ledger) == [
        ("forward", "conv", 0, 200),
        ("forward", "norm", 200, 200),
        ("forward", "fc", 400, 20),
        ("forward", "loss", 420, 4),
        ("backward", "loss", 420, 8 + 20),
        ("backward", "fc", 400, 8 + 20 + 200 + 20),
        ("backward", "norm", 200, 8 + 200 + 200 + 8),
        ("backward", "conv", 0, 8 + 200 + 40),
        ("update", "", 0, 0),
    ]
    assert ledger.peak_layer == "fc"
    assert ledger.items["batch"] == 100
    assert ledger.items["buffers"] == 6
    assert ledger.total_bytes == sum(ledger.items.values()) == 648 + 100 + 6 + 2 * 4 * 17


def test_a_frozen_weight_is_neither_kept_for_nor_gone_back_to(summary, step, training):
    ledger = autograd_memory(summary, step, training(NORM), 1, optimizer=PLAIN)
    assert ("forward", "fc", 100, 110) in courses(ledger), "fc does not keep its input, which only fc itself then holds"
    assert [layer for phase, layer, *_ in courses(ledger) if phase == "backward"] == ["loss", "fc", "norm"]
    assert ("backward", "fc", 110 - 10, 8 + 10 + 100) in courses(ledger), "no gradient of its weight is made"
    assert ledger.items["frozen_parameters"] == 4 * 15
    assert ledger.items["gradients"] == 4 * 2


def test_training_the_head_alone_keeps_the_input_of_the_head(summary, step, training):
    ledger = autograd_memory(summary, step, training(FC), 3, optimizer=PLAIN)
    assert max(saved for _, _, saved, _ in courses(ledger)) == 330
    assert [layer for phase, layer, *_ in courses(ledger) if phase == "backward"] == ["loss", "fc"]


def test_the_optimizers_state_is_held_all_the_time_and_its_buffers_at_the_update(summary, step, training):
    ledger = autograd_memory(summary, step, training(CONV, NORM, FC), 1, optimizer=ADAM, client_vectors=3)
    assert {moment.items["optimizer_state"] for moment in ledger.moments} == {2 * 4 * 17 + 4}
    assert {moment.items["client_vectors"] for moment in ledger.moments} == {3 * 4 * 17}
    assert [moment.items["update_buffers"] for moment in ledger.moments] == [0] * 8 + [2 * 4 * 17]


def test_two_gradients_of_one_activation_are_added_in_place_unless_somebody_else_holds_the_first(summary, step, training):
    def forked(*edges, temporaries):
        fork = node("Fork", "fc", 2, edges, (), temporaries)
        return autograd_memory(
            summary,
            StepFacts(4, 0, Size(0, 0), step.layers, step.storages, (*step.nodes[:2], fork, step.nodes[3])),
            training(NORM),
            1,
            optimizer=PLAIN,
        )

    wide = Size(0, 100)
    in_place = forked(to_node(1, 0), to_node(1, 1), temporaries=(made(wide, 0), made(wide, 1)))
    shared = forked(to_node(1, 0), to_node(1, 0), temporaries=(made(wide, 0, 1),))
    assert max(transient for phase, layer, _, transient in courses(in_place) if (phase, layer) == ("backward", "fc")) == 8 + 10 + 200
    assert max(transient for phase, layer, _, transient in courses(shared) if (phase, layer) == ("backward", "fc")) == 8 + 200


def test_a_tensor_that_trains_in_part_has_a_whole_gradient_and_a_copy_of_what_trains(layer, make_network, step, training):
    import dataclasses

    from fedtiny.models.summary import ParameterFacts

    facts = dataclasses.replace(layer("conv", "convolution", 50, 25), parameters=(ParameterFacts(CONV, 12, "weight", (2, 6, 1, 1)),))
    plan = dataclasses.replace(training(CONV), channels=((CONV, 3),))
    ledger = autograd_memory(make_network(facts), step, plan, 1, optimizer=PLAIN)
    assert ledger.items["trainable_parameters"] == 4 * (12 + 6)
    assert ledger.items["gradients"] == 4 * (12 + 6)


def test_a_batch_without_samples_is_refused(summary, step, training):
    with pytest.raises(ValueError, match="at least 1 sample, not 0"):
        autograd_memory(summary, step, training(FC), 0, optimizer=PLAIN)
