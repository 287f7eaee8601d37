"""The recurrent and the one-dimensional network: what their training costs, and that federations of them learn."""

import numpy as np
import pytest
import torch
from torch import nn

import fedtiny
from fedtiny.costs.compute import backward_macs, forward_macs
from fedtiny.models.char_lstm import CharLstm
from fedtiny.models.keyword_cnn import KeywordCnn
from fedtiny.models.measure import summarize
from fedtiny.updates.schemes import SCHEMES

BATCH, STEPS, CLASSES = 2, 9, 7
DEVICE = {"kind": "custom", "memory": "10 MB", "step_time": "1 s"}
CASES = [(CharLstm(hidden=16), (1, 1, STEPS)), (CharLstm(hidden=16, layers=2), (1, 1, STEPS)), (KeywordCnn(width=0.25), (1, 6, STEPS))]


@pytest.mark.parametrize("update", [one for one in SCHEMES if one.kind != "tinytl"], ids=lambda update: update.kind)
@pytest.mark.parametrize(("model", "shape"), CASES)
def test_autograd_computes_the_multiply_accumulates_that_are_charged(model, shape, update, counted_macs):
    network = model.build(shape, CLASSES, lite_residual=False, generator=torch.Generator().manual_seed(0))
    summary = summarize(network, model.kind, shape, CLASSES)
    plan = update.plan(summary)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in plan.trainable_names)
    inputs = torch.randint(CLASSES, (BATCH, *shape), generator=torch.Generator().manual_seed(1)).float()
    with counted_macs() as forward:
        loss = nn.functional.cross_entropy(network(inputs), torch.tensor([0, 1]))
    with counted_macs() as backward:
        loss.backward()
    assert forward.macs == BATCH * sum(forward_macs(summary).values())
    # before the first step there is a state of zeros, which nobody differentiates
    states = sum(parameter.elements for parameter in summary.parameters if parameter.name.endswith("weight_hh"))
    first = BATCH * states if any(name.startswith("lstm") for name in plan.trainable) else 0
    assert backward.macs == pytest.approx(BATCH * sum(backward_macs(summary, plan).values()) - first, abs=0.01)


def test_recurrent_work_is_of_its_own_class():
    model, shape = CASES[0]
    network = model.build(shape, CLASSES, lite_residual=False, generator=torch.Generator().manual_seed(0))
    macs = forward_macs(summarize(network, model.kind, shape, CLASSES))
    assert macs == {"recurrent": STEPS * 4 * 16 * (8 + 16), "dense_gemm": 16 * CLASSES}


@pytest.fixture
def scenarios(tmp_path):
    """A federation of three for each network: three ways to count, three sounds."""
    for name, text in (("up", "0123456789"), ("down", "9876543210"), ("even", "0246813579")):
        (tmp_path / f"{name}.txt").write_text(text * 12)
    generator = np.random.default_rng(0)
    targets = np.arange(90) % 3
    sounds = generator.normal(size=(90, 4, 12)).astype(np.float32)
    sounds[np.arange(90), targets] += 2
    np.savez(
        tmp_path / "sounds.npz",
        x_train=sounds[:60],
        y_train=targets[:60],
        x_test=sounds[60:],
        y_test=targets[60:],
        client_train=np.repeat(np.arange(3), 20),
    )
    return {
        "char_lstm": {
            "model": {"kind": "char_lstm", "hidden": 16},
            "data": {"kind": "text", "path": str(tmp_path / "*.txt"), "sequence_length": 6, "partition": {"kind": "natural"}},
        },
        "keyword_cnn": {
            "model": {"kind": "keyword_cnn", "width": 0.25},
            "data": {"kind": "npz", "path": str(tmp_path / "sounds.npz"), "partition": {"kind": "natural"}},
        },
    }


def federation(parts, strategy, update="full", *, precision="float32"):
    return fedtiny.Scenario.model_validate(
        {
            "name": "catalog",
            **parts,
            "update": {"kind": update},
            "training": {
                "batch_size": 10,
                "local_steps": 3,
                "precision": precision,
                "optimizer": {"kind": "sgd", "learning_rate": 0.5 if parts["model"]["kind"] == "char_lstm" else 0.1},
            },
            "strategy": strategy,
            "fleet": [{"count": 3, "device": DEVICE, "network": {"kind": "custom", "latency": "0 s"}}],
            "stop": {"rounds": 12},
            "evaluation": {"every": 12},
        }
    )


@pytest.mark.parametrize("strategy", [{"kind": "fedavg"}, {"kind": "dga", "delay": 4}], ids=lambda strategy: strategy["kind"])
@pytest.mark.parametrize("kind", ["char_lstm", "keyword_cnn"])
def test_federations_learn(scenarios, kind, strategy):
    result = fedtiny.run(federation(scenarios[kind], strategy, precision="float64" if strategy["kind"] == "dga" else "float32"))
    first, *_, last = (loss for loss in result.rounds["loss"].to_pylist() if loss is not None)
    assert last < 0.9 * first
    assert result.summary["bytes_up"] > 0


@pytest.mark.parametrize("kind", ["char_lstm", "keyword_cnn"])
def test_in_a_bias_update_nothing_but_biases_and_head_changes(scenarios, kind):
    scenario = federation(scenarios[kind], {"kind": "fedavg"}, "bias")
    trained = fedtiny.run(scenario).model
    started = fedtiny.run(scenario.model_copy(update={"stop": scenario.stop.model_copy(update={"rounds": 0})})).model
    assert trained.keys() == started.keys()
    changed = {name for name in trained if not np.array_equal(trained[name], started[name])}
    assert changed == {name for name in trained if name.endswith("bias") or name.startswith("head.")}
