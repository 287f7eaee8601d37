"""Sparse updates as published, on the real networks: what changes, what does not, and where the backward pass ends.

E2 to E4 and the masking half of E7 of the oracles for Lin et al., arXiv 2206.15472. 32x32 images keep it quick; schemes do not
depend on the size of the input.
"""

import functools

import numpy as np
import pytest
import torch

from fedtiny.experiment import run
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.measure import summarize
from fedtiny.models.quantized_network import parameter_scales
from fedtiny.preparation import prepare
from fedtiny.randomness import Streams
from fedtiny.scenario.schema import Scenario
from fedtiny.training.batches import Batches
from fedtiny.training.local import Examples, FlatNetwork, LocalLearner
from fedtiny.training.optimizer import SGD
from fedtiny.training.quantization_aware_scaling import gradient_factors
from fedtiny.updates.convolutions import main_convolutions
from fedtiny.updates.full import Full
from fedtiny.updates.layout import layout_of
from fedtiny.updates.published_sparse import PUBLISHED
from fedtiny.updates.sparse import Sparse

MODELS = {"mcunet_5fps": McuNet5Fps, "mobilenet_v2_w035": MobileNetV2W035, "proxylessnas_w03": ProxylessNasW03}
SHAPE = (3, 32, 32)
CLASSES = 10
STEPS = 3
# One scheme of each network, with whole weights, parts of weights and, in the first, ratios of 0.
SCHEMES = ["mcunet_5fps_49kb", "mobilenet_v2_w035_73kb", "proxylessnas_w03_98kb"]
NORMALIZATIONS = ["group", "folded"]
BY_SCHEME = pytest.mark.parametrize(("name", "normalization"), [(name, one) for name in SCHEMES for one in NORMALIZATIONS])


def build(kind, **keys):
    model = MODELS[kind](**keys)
    network = model.build(SHAPE, CLASSES, lite_residual=False, generator=torch.Generator().manual_seed(1)).double()
    return network, summarize(network, kind, SHAPE, CLASSES)


def values_of(network):
    return {name: parameter.numpy(force=True).copy() for name, parameter in network.named_parameters()}


def examples(count=4):
    generator = torch.Generator().manual_seed(2)
    return Examples(
        torch.rand(count, *SHAPE, generator=generator, dtype=torch.float64), torch.randint(CLASSES, (count,), generator=generator)
    )


def revive(network):
    """A folded network of random values in which hardly a ReLU6 is dead or saturated, so that every channel has a gradient."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("convolution.bias"):
                parameter.fill_(3.0)
            elif name.endswith("convolution.weight"):
                parameter.mul_(0.3)


class Subject:
    """A network of its own, and what a scheme trains of it."""

    def __init__(self, update, kind, normalization):
        self.network, self.summary = build(kind, normalization=normalization)
        self.plan = update.plan(self.summary)
        if normalization == "folded":
            revive(self.network)
        self.before = values_of(self.network)
        self.flat = FlatNetwork(self.network, layout_of(self.plan, self.summary, self.before))


def subject(name, normalization):
    return Subject(Sparse(scheme=name), PUBLISHED[name].model, normalization)


def train(flat):
    everything = examples()
    batches = Batches(np.arange(len(everything.targets)), 2, Streams(0), ("client",))
    learner = LocalLearner(0, flat, everything, batches, SGD(learning_rate=0.05))
    learner.train(flat.read(), 1, STEPS)


def expected_channels(name, summary):
    """Weight -> int(in_channels * ratio), from the published numbers alone."""
    published, convolutions = PUBLISHED[name], main_convolutions(summary)
    return {
        convolutions[layer].weight.name: int(convolutions[layer].in_channels * ratio)
        for layer, ratio in zip(published.layers, published.ratios, strict=True)
    }


def changed_channels(before, after):
    """Along its axis of input channels, which of them differ in a weight."""
    axis = 0 if before.shape[1] == 1 else 1
    others = tuple(one for one in range(4) if one != axis)
    return set(np.flatnonzero((before != after).any(axis=others)).tolist())


@functools.cache
def trained(name, normalization):
    one = subject(name, normalization)
    train(one.flat)
    return one, values_of(one.network)


@BY_SCHEME
def test_e2_after_n_steps_exactly_the_chosen_number_of_input_channels_of_each_weight_changed(name, normalization):
    one, after = trained(name, normalization)
    for weight, channels in expected_channels(name, one.summary).items():
        assert len(changed_channels(one.before[weight], after[weight])) == channels


@BY_SCHEME
def test_e2_all_that_does_not_train_is_bit_identical_after_n_steps(name, normalization):
    one, after = trained(name, normalization)
    changed = {key for key in after if not np.array_equal(one.before[key], after[key])}
    assert changed == set(one.plan.trainable)
    convolutions = main_convolutions(one.summary)
    below = convolutions[: len(convolutions) - PUBLISHED[name].biases]
    assert not changed & {parameter.name for convolution in below for parameter in (convolution.weight, convolution.bias)}


@BY_SCHEME
def test_e4_the_channels_that_change_have_the_largest_norms_at_the_start(name, normalization):
    one, after = trained(name, normalization)
    for weight, channels in expected_channels(name, one.summary).items():
        before = one.before[weight]
        by_channel = np.moveaxis(before, 0 if before.shape[1] == 1 else 1, 0).reshape(-1, before.size // channels_of(before))
        norms = np.linalg.norm(by_channel, axis=1)
        chosen = changed_channels(before, after[weight])
        left = set(range(len(norms))) - chosen
        assert min((norms[one] for one in chosen), default=np.inf) >= max((norms[one] for one in left), default=0)
        assert len(chosen) == channels


def channels_of(weight):
    return weight.shape[0] if weight.shape[1] == 1 else weight.shape[1]


def test_e4_the_choice_of_channels_is_the_same_every_time_and_does_not_follow_training():
    one, _ = trained("mcunet_5fps_49kb", "group")
    other = subject("mcunet_5fps_49kb", "group")
    assert other.flat.layout == one.flat.layout
    weight, channels = other.plan.channels[0]
    tensor = next(tensor for tensor in other.flat.layout.tensors if tensor.name == weight)
    left = next(iter(set(range(other.before[weight].shape[1])) - set(tensor.channels)))
    with torch.no_grad():
        other.network.get_parameter(weight)[:, left] *= 100
    before = values_of(other.network)
    assert layout_of(other.plan, other.summary, before) != other.flat.layout, "another channel has the largest norm by now"
    train(other.flat)
    assert changed_channels(before[weight], values_of(other.network)[weight]) == set(tensor.channels)
    assert len(tensor.channels) == channels


@BY_SCHEME
def test_e2_and_e3_gradients_are_those_of_the_full_backward_pass_bit_by_bit(name, normalization):
    sparse, full = subject(name, normalization), Subject(Full(), PUBLISHED[name].model, normalization)
    batch = examples()
    assert sparse.flat.backward(batch.inputs, batch.targets) == full.flat.backward(batch.inputs, batch.targets)
    positions = torch.from_numpy(sparse.flat.layout.positions_in(full.flat.layout))
    assert torch.equal(sparse.flat.gradients, full.flat.gradients[positions])
    assert sparse.flat.gradients.count_nonzero() > len(positions) / 2


def autograd_nodes(loss):
    """Every node of the backward graph, each once."""
    found, waiting = {}, [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found[node] = None
            waiting += [below for below, _ in node.next_functions]
    return list(found)


@BY_SCHEME
def test_e3_the_backward_graph_has_no_node_below_the_last_convolutions(name, normalization):
    one, published = subject(name, normalization), PUBLISHED[name]
    convolutions = main_convolutions(one.summary)
    depth = published.biases
    outputs, saved = watch_convolutions(one.network, [convolution.layer.name for convolution in convolutions]), []
    batch = examples()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        loss = one.flat.loss(batch.inputs, batch.targets)
    below = [convolution.layer.name for convolution in convolutions[: len(convolutions) - depth]]
    above = [convolution.layer.name for convolution in convolutions[len(convolutions) - depth + 1 :]]
    assert not any(outputs[path].requires_grad for path in below)
    assert all(outputs[path].requires_grad for path in above)

    nodes = autograd_nodes(loss)
    leaves = {id(node.variable) for node in nodes if node.name().endswith("AccumulateGrad")}
    names = {name for name, parameter in one.network.named_parameters() if id(parameter) in leaves}
    assert names == set(one.plan.trainable)
    first_has_node = outputs[convolutions[-depth].layer.name].requires_grad
    assert sum(node.name().startswith("ConvolutionBackward") for node in nodes) == depth - 1 + first_has_node

    kept = {tensor.untyped_storage().data_ptr() for tensor in saved}
    lower = {outputs[path].untyped_storage().data_ptr() for path in below[:-1]}
    assert kept
    assert not kept & (lower | {batch.inputs.untyped_storage().data_ptr()}), "nothing below is kept for the backward pass"


def watch_convolutions(network, paths):
    outputs = {}
    for path in paths:
        network.get_submodule(path).register_forward_hook(lambda _, __, output, path=path: outputs.update({path: output}))
    return outputs


def test_e3_a_deeper_update_has_a_larger_graph():
    counts = []
    for depth in (0, 1, 10, 20, 42):
        one = Subject(Sparse(biases=depth), "mcunet_5fps", "folded")
        batch = examples(1)
        nodes = autograd_nodes(one.flat.loss(batch.inputs, batch.targets))
        counts.append((sum(node.name().startswith("ConvolutionBackward") for node in nodes), len(nodes)))
    assert [convolutions for convolutions, _ in counts] == [0, 1, 10, 20, 42]
    assert [nodes for _, nodes in counts] == sorted({nodes for _, nodes in counts})


def test_e7_masking_and_quantization_aware_scaling_commute():
    network, summary = build("mcunet_5fps", normalization="folded", quantization={"kind": "int8"})
    generator = torch.Generator().manual_seed(3)
    for name, scale in parameter_scales(network).items():
        if name.endswith("weight"):
            network.get_submodule(name.removesuffix(".weight")).weight_scale.copy_(torch.rand(scale.numel(), generator=generator) + 0.1)
    values = values_of(network)
    values = {name: np.random.default_rng(4).normal(size=value.shape) for name, value in values.items()}
    masked = layout_of(Sparse(scheme="mcunet_5fps_49kb").plan(summary), summary, values)
    whole = layout_of(Full().plan(summary), summary, values)
    gradients = torch.rand(whole.elements, generator=generator, dtype=torch.float64)
    positions = torch.from_numpy(masked.positions_in(whole))
    scaled_then_masked = (gradients * gradient_factors(network, whole))[positions]
    masked_then_scaled = gradients[positions] * gradient_factors(network, masked)
    assert torch.equal(scaled_then_masked, masked_then_scaled)
    assert not torch.equal(masked_then_scaled, gradients[positions])


STRATEGIES = {"fedavg": {"kind": "fedavg"}, "dga": {"kind": "dga", "delay": 3}}


def federation(strategy, rounds):
    return Scenario.model_validate(
        {
            "name": "sparse",
            "model": {"kind": "mcunet_5fps"},
            "data": {"kind": "digits", "image_size": 32, "channels": 3},
            "training": {"batch_size": 2, "local_steps": 2, "optimizer": {"kind": "sgd", "learning_rate": 0.05}},
            "update": {"kind": "sparse", "scheme": "mcunet_5fps_49kb"},
            "strategy": strategy,
            "fleet": [
                {
                    "count": 2,
                    "device": {"kind": "custom", "memory": "1 GB", "step_time": "1 s"},
                    "network": {"kind": "custom", "latency": "1 s"},
                }
            ],
            "stop": {"rounds": rounds},
            "evaluation": {"every": 1000},
        }
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_federation_trains_and_sends_the_chosen_channels_and_nothing_else(strategy):
    first, last = (run(federation(STRATEGIES[strategy], rounds)) for rounds in (0, 3))
    world = prepare(federation(STRATEGIES[strategy], 0))
    layout = world.flat.layout
    changed = {name: first.model[name] != last.model[name] for name in first.model}
    for tensor in layout.tensors:
        where = np.flatnonzero(changed.pop(tensor.name))
        assert set(where) <= set(tensor.positions().tolist())
        if tensor.channels is not None:
            assert changed_channels(first.model[tensor.name], last.model[tensor.name]) == set(tensor.channels)
    assert not any(one.any() for one in changed.values())
    uploads = [row["payload_bytes"] for row in last.activities.to_pylist() if row["kind"] == "upload" and row["payload_bytes"]]
    assert len(uploads) == 2 * 3
    assert set(uploads) == {4 * layout.elements}
