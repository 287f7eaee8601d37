"""Network augmentation on the real code: the identities that hold without any convergence (NetAug, ICLR 2022)."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from fedtiny.design.netaug import augmented_network, cross_entropy_of, importances, netaug_backward, sort_channels
from fedtiny.models.augmentation import NetAug
from fedtiny.models.augmented_architecture import Choice, augmented, largest_choice, random_choice, tiny_choice
from fedtiny.models.folding import batch_normalized_twin
from fedtiny.models.inverted_bottleneck import InvertedBottleneck, convolution_unit, folded_unit
from fedtiny.models.mobile_architecture import MobileArchitecture, Stem, block
from fedtiny.models.mobile_network import build_mobile_network

ARCHITECTURE = MobileArchitecture(
    name="small",
    stem=Stem(out_channels=8, kernel=3, stride=2),
    blocks=(
        block(8, 8, expansion=1, kernel=3, stride=1),
        block(8, 16, expansion=2, kernel=3, stride=2),
        block(16, 16, expansion=3, kernel=5, stride=1),
        block(16, 24, expansion=2, kernel=3, stride=1),
    ),
    feature_mix=32,
    classifier_in=32,
)
UNITS = {"group": convolution_unit, "batch": folded_unit}
FACTORS = NetAug(width=(1, 1.6, 2.2), expansion=(1, 1.6, 2.2, 2.8))


def made(norm, netaug=FACTORS, *, lite=False):
    """A tiny network in float64 inside its augmented one, in training mode."""
    tiny = build_mobile_network(
        ARCHITECTURE, (1, 12, 12), 4, lite_residual=lite, generator=torch.Generator().manual_seed(3), unit=UNITS[norm]
    ).double()
    network = augmented_network(tiny, netaug, torch.Generator().manual_seed(4))
    network.largest.train()
    return network


def batch(seed=0, examples=6):
    draws = np.random.default_rng(seed)
    return torch.from_numpy(draws.normal(size=(examples, 1, 12, 12))), torch.from_numpy(draws.integers(4, size=examples))


def alone(network):
    """The tiny network by itself, as exported, in training mode."""
    return network.export().train()


def gradients(network):
    return {name: None if value.grad is None else value.grad.clone() for name, value in network.named_parameters()}


def drawn(network, seed=1):
    return network.draw(np.random.default_rng(seed))


def target_part(network, tiny, values):
    """Of the largest network's tensors, by name, those parts that are the tiny network's."""
    return {name: values[name][tuple(slice(size) for size in value.shape)] for name, value in tiny.named_parameters()}


@pytest.mark.parametrize("norm", UNITS)
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_d1_with_factors_of_1_the_gradient_is_1_plus_alpha_times_the_usual_one(norm, alpha):
    network = made(norm, NetAug(width=(1,), expansion=(1,), alpha=alpha))
    plain, (inputs, targets) = alone(network), batch()
    functional.cross_entropy(plain(inputs), targets).backward()
    netaug_backward(network, inputs, cross_entropy_of(targets), drawn(network))
    for name, gradient in gradients(network.largest).items():
        expected = (1 + alpha) * plain.get_parameter(name).grad
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("norm", UNITS)
def test_d2_without_the_wider_networks_loss_the_tiny_one_is_trained_as_usual(norm):
    network = made(norm, FACTORS.model_copy(update={"alpha": 0.0}))
    plain, draws = alone(network), np.random.default_rng(7)
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9) for one in (network.largest, plain)]
    for step in range(5):
        inputs, targets = batch(step)
        for optimizer in optimizers:
            optimizer.zero_grad()
        netaug_backward(network, inputs, cross_entropy_of(targets), network.draw(draws))
        functional.cross_entropy(plain(inputs), targets).backward()
        for optimizer in optimizers:
            optimizer.step()
    for name, value in alone(network).state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("norm", UNITS)
def test_d3_values_outside_the_tiny_network_change_nothing_of_what_it_computes(norm):
    network, (inputs, _) = made(norm), batch()
    network.largest.eval()
    before = network.choose(network.own, inputs)
    shapes = {name: value.shape for name, value in alone(network).named_parameters()}
    with torch.no_grad():
        for name, value in network.largest.named_parameters():
            changed = torch.full_like(value, 1e3)
            own = tuple(slice(size) for size in shapes[name])
            changed[own] = value[own]
            value.copy_(changed)
    assert torch.equal(network.choose(network.own, inputs), before)


@pytest.mark.parametrize(("norm", "lite"), [("group", False), ("group", True), ("batch", False)])
def test_d4_the_exported_network_computes_what_the_tiny_one_does_bit_for_bit(norm, lite):
    network, (inputs, targets) = made(norm, lite=lite), batch()
    netaug_backward(network, inputs, cross_entropy_of(targets), drawn(network))
    torch.optim.SGD(network.largest.parameters(), lr=0.1).step()
    exported = network.export().eval()
    network.largest.eval()
    assert torch.equal(exported(inputs), network.choose(network.own, inputs))


@pytest.mark.parametrize("alpha", [0.3, 1.0])
@pytest.mark.parametrize("norm", UNITS)
def test_d5_the_gradient_is_the_tiny_networks_plus_alpha_times_the_wider_ones(norm, alpha):
    network, (inputs, targets) = made(norm, FACTORS.model_copy(update={"alpha": alpha})), batch()
    choice = drawn(network, 5)
    assert choice != network.own
    tiny, wider = alone(network), network._template(choice)
    values = {name: value.detach().clone() for name, value in network.slices(wider).items()}
    wider.load_state_dict(values)
    netaug_backward(network, inputs, cross_entropy_of(targets), choice)
    functional.cross_entropy(tiny(inputs), targets).backward()
    functional.cross_entropy(wider.train()(inputs), targets).backward()
    for name, gradient in gradients(network.largest).items():
        expected = torch.zeros_like(gradient)
        for factor, one in ((1.0, tiny.get_parameter(name)), (alpha, wider.get_parameter(name))):
            expected[tuple(slice(size) for size in one.shape)] += factor * one.grad
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-14)
        outside = torch.ones_like(gradient, dtype=torch.bool)
        for one in (tiny.get_parameter(name), wider.get_parameter(name)):
            outside[tuple(slice(size) for size in one.shape)] = False
        assert not gradient[outside].any()


@pytest.mark.parametrize("norm", UNITS)
def test_d6_sorting_permutes_channels_and_leaves_the_largest_network_as_it_was(norm):
    network, (inputs, _) = made(norm), batch()
    network.largest.eval()
    with torch.no_grad():
        for name, value in network.largest.named_parameters():
            value.add_(torch.from_numpy(np.random.default_rng(len(name)).normal(size=value.shape)) / 10)
    before = network.largest(inputs)
    kept = {name: value.clone() for name, value in network.largest.state_dict().items()}
    sort_channels(network.largest)
    torch.testing.assert_close(network.largest(inputs), before, rtol=1e-10, atol=1e-12)
    after = network.largest.state_dict()
    assert any(not torch.equal(after[name], kept[name]) for name in kept)
    for name in kept:
        assert torch.equal(after[name].flatten().sort().values, kept[name].flatten().sort().values)
    for one in network.largest.modules():
        if isinstance(one, InvertedBottleneck) and hasattr(one.main, "expand"):
            size = 8 if norm == "group" else 1
            sums = importances(one).view(-1, size).sum(1)
            assert (sums.diff() <= 1e-12).all()
    once = {name: value.clone() for name, value in after.items()}
    sort_channels(network.largest)
    assert all(torch.equal(network.largest.state_dict()[name], once[name]) for name in once)


@pytest.mark.parametrize("norm", UNITS)
def test_d7_the_tiny_network_is_as_small_as_without(norm):
    network = made(norm)
    plain = batch_normalized_twin(network.tiny) if norm == "batch" else network.tiny
    assert {name: value.shape for name, value in network.export().state_dict().items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
    assert augmented(ARCHITECTURE, tiny_choice(ARCHITECTURE)) == ARCHITECTURE
    before = plain.eval()(batch()[0])
    network.largest.eval()
    torch.testing.assert_close(network.choose(network.own, batch()[0]), before, rtol=0, atol=0)


def test_every_network_lies_in_the_largest_one():
    largest, draws = augmented(ARCHITECTURE, largest_choice(ARCHITECTURE, FACTORS)), np.random.default_rng(2)
    for _ in range(200):
        choice = random_choice(ARCHITECTURE, FACTORS, draws)
        one = augmented(ARCHITECTURE, choice)
        for mine, most, own in zip(one.blocks, largest.blocks, ARCHITECTURE.blocks, strict=True):
            assert own.mid_channels <= mine.mid_channels <= most.mid_channels
            assert own.out_channels <= mine.out_channels <= most.out_channels
            assert not mine.residual or mine.in_channels == mine.out_channels


def test_widths_are_those_of_the_released_code():
    """mid = round(expansion x active input), out = round(factor x base); a shortcut keeps the width of its input."""
    choice = Choice(1.6, (1.0, 2.2, 1.0, 1.6), (1.0, 1.6, 2.8, 1.0), 2.2)
    one = augmented(ARCHITECTURE, choice)
    assert one.stem.out_channels == round(8 * 1.6)
    shapes = [(shape.in_channels, shape.mid_channels, shape.out_channels) for shape in one.blocks]
    assert shapes == [(13, 13, 13), (13, round(2 * 1.6 * 13), 35), (35, round(3 * 2.8 * 35), 35), (35, 70, 38)]
    assert (one.feature_mix, one.classifier_in) == (70, 70)


def test_each_factor_is_uniform_and_independent():
    draws = np.random.default_rng(11)
    chosen = [random_choice(ARCHITECTURE, FACTORS, draws) for _ in range(3000)]
    for values, factors in (([one.stem for one in chosen], FACTORS.width), ([one.expansions[2] for one in chosen], FACTORS.expansion)):
        for factor in factors:
            assert np.mean([value == factor for value in values]) == pytest.approx(1 / len(factors), abs=0.03)
    correlation = np.corrcoef([one.outputs[1] for one in chosen], [one.expansions[1] for one in chosen])[0, 1]
    assert abs(correlation) < 0.06
    narrow = [random_choice(ARCHITECTURE, FACTORS, draws, widths=False) for _ in range(50)]
    assert {(one.stem, one.mix, *one.outputs) for one in narrow} == {(1.0,) * 6}
    assert len({one.expansions for one in narrow}) > 30
