"""The weight-shared supernet on the real code: the identities that hold without any convergence (Once-for-All, ICLR 2020; MCUNet, 2020)."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from fedtiny.costs.mcu_memory import mcu_memory
from fedtiny.costs.memory import tinytl_memory
from fedtiny.design.netaug import importances, sort_channels
from fedtiny.design.supernet import empty_network, supernet, supernet_backward
from fedtiny.models.elastic_space import (
    ElasticSpace,
    ElasticStage,
    SubNetwork,
    architecture,
    count,
    decode,
    encode,
    largest,
    places,
    random_subnetwork,
    smallest,
)
from fedtiny.models.initialization import initialize
from fedtiny.models.inverted_bottleneck import InvertedBottleneck
from fedtiny.models.measure import summarize
from fedtiny.updates.last import Last

SMALL = ElasticSpace(
    stem=8,
    first_block=8,
    stages=(ElasticStage(channels=16), ElasticStage(channels=24)),
    depths=(1, 2, 3),
    resolutions=(8, 12),
    feature_mix=32,
)
MOBILE = ElasticSpace(
    stem=16,
    first_block=16,
    stages=tuple(ElasticStage(channels=channels) for channels in (24, 40, 80, 112, 160)),
    resolutions=(224,),
)


def made(space=SMALL, seed=0):
    """A supernet in float64, its kernel matrices still identities, in evaluation mode."""
    found = supernet(space, 1, 4, torch.Generator().manual_seed(seed))
    found.network.double().eval()
    for matrix in found.matrices.values():
        matrix.data = matrix.data.double()
    return found


def batch(size=12, examples=5):
    draws = np.random.default_rng(0)
    return torch.from_numpy(draws.normal(size=(examples, 1, size, size))), torch.from_numpy(draws.integers(4, size=examples))


def drawn(seed, space=SMALL):
    return random_subnetwork(space, np.random.default_rng(seed))


def filled_by_hand(found, choice):
    """A static network of a choice, each tensor cut out of the largest one's by the words of the papers."""
    alone = empty_network(found.space, choice, 1, 4).double()
    own, most = found.network.state_dict(), max(found.space.depths)
    for name, value in alone.state_dict().items():
        place = int(name.split(".")[1]) if name.startswith("blocks.") else 0
        there = place
        for stage, depth in enumerate(choice.depths):
            begins = 1 + sum(choice.depths[:stage])
            if begins <= place < begins + depth:
                there = 1 + stage * most + place - begins
        full = own[name.replace(f"blocks.{place}.", f"blocks.{there}.")]
        if "depthwise.convolution" in name:
            edge = (full.shape[-1] - value.shape[-1]) // 2
            full = full[..., edge : full.shape[-1] - edge, edge : full.shape[-1] - edge]
        value.copy_(full[tuple(slice(size) for size in value.shape)])
    return alone.eval()


def test_f1_the_largest_choice_is_the_static_network_with_the_same_weights():
    found, (inputs, _) = made(), batch()
    static = empty_network(SMALL, largest(SMALL), 1, 4).double().eval()
    static.load_state_dict(found.network.state_dict())
    assert torch.equal(found.logits(largest(SMALL), inputs), static(inputs))


@pytest.mark.parametrize("seed", range(8))
def test_f1_with_matrices_that_are_identities_a_smaller_network_is_cut_out_of_the_middle_and_the_front(seed):
    found, choice = made(), drawn(seed)
    inputs, _ = batch(choice.resolution)
    expected = filled_by_hand(found, choice)(inputs)
    assert torch.equal(found.logits(choice, inputs), expected)
    assert torch.equal(found.export(choice).eval()(inputs), expected)


def test_f1_a_kernel_is_the_middle_of_the_next_larger_one_times_the_matrices_in_between():
    found = made()
    choice = SubNetwork(12, tuple((((3, 6)),) * 3 for _ in SMALL.stages))
    for seed, matrix in enumerate(found.matrices.values()):
        matrix.data += 0.1 * torch.randn(matrix.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weight = found.network.state_dict()["blocks.2.main.depthwise.convolution.weight"]
    five = torch.einsum("ij,cj->ci", found.matrices[2, 5], weight[:, 0, 1:6, 1:6].flatten(1)).view(-1, 1, 5, 5)
    three = torch.einsum("ij,cj->ci", found.matrices[2, 3], five[:, 0, 1:4, 1:4].flatten(1)).view(-1, 1, 3, 3)
    alone = found.export(choice)
    torch.testing.assert_close(alone.state_dict()["blocks.2.main.depthwise.convolution.weight"], three, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("seed", range(4))
def test_f2_gradients_of_a_network_are_those_of_it_alone_and_touch_nothing_but_its_own_slices(seed):
    found, choice = made(), drawn(seed)
    inputs, targets = batch(choice.resolution)
    supernet_backward(found, choice, inputs, targets, None, 0.0)
    alone = found.export(choice)
    functional.cross_entropy(alone(inputs), targets).backward()
    own, where, used = dict(found.network.named_parameters()), places(SMALL, choice), set()
    for name, value in alone.named_parameters():
        step = name.split(".")
        there = ".".join((step[0], str(where[int(step[1])]), *step[2:])) if step[0] == "blocks" else name
        used.add(there)
        gradient = own[there].grad.clone()
        edge = (gradient.shape[-1] - value.shape[-1]) // 2 if "depthwise.convolution" in name else 0
        middle = gradient[..., edge : gradient.shape[-1] - edge, edge : gradient.shape[-1] - edge] if edge else gradient
        own_part = middle[tuple(slice(size) for size in value.shape)]
        torch.testing.assert_close(own_part, value.grad, rtol=1e-10, atol=1e-13)
        own_part.zero_()
        assert not gradient.any(), f"{there} has gradients outside the slice"
    assert [name for name, value in own.items() if name not in used and value.grad is not None and value.grad.any()] == []


def test_f2_the_teacher_adds_its_part_and_gets_no_gradient():
    found, choice = made(), smallest(SMALL)
    inputs, targets = batch(8)
    teacher = empty_network(SMALL, largest(SMALL), 1, 4).double().eval()
    initialize(teacher, torch.Generator().manual_seed(9))
    supernet_backward(found, choice, inputs, targets, teacher, 0.5)
    both = found.network.head.weight.grad.clone()
    for value in found.parameters():
        value.grad = None
    logits = found.logits(choice, inputs)
    soft = -(functional.softmax(teacher(inputs), 1).detach() * functional.log_softmax(logits, 1)).sum(1).mean()
    (functional.cross_entropy(logits, targets) + 0.5 * soft).backward()
    torch.testing.assert_close(found.network.head.weight.grad, both, rtol=1e-12, atol=1e-14)
    assert [name for name, value in teacher.named_parameters() if value.grad is not None] == []


def facts(choice, space=SMALL):
    """(MACs, parameters, activations at the peak of running it) of one network."""
    network = empty_network(space, choice, 1, 4)
    initialize(network, torch.Generator().manual_seed(0))
    summary = summarize(network, "elastic", (1, choice.resolution, choice.resolution), 4)
    ledger = tinytl_memory(summary, Last().plan(summary), 1)
    return np.array([summary.forward_macs, summary.parameter_elements, ledger.activation_bytes])


def uniform(resolution=12, depth=2, kernel=5, expansion=4):
    return SubNetwork(resolution, tuple(((kernel, expansion),) * depth for _ in SMALL.stages))


@pytest.mark.parametrize(
    ("name", "values"), [("depth", (1, 2, 3)), ("expansion", (3, 4, 6)), ("kernel", (3, 5, 7)), ("resolution", (8, 12))]
)
def test_f3_what_a_network_takes_grows_with_every_choice(name, values):
    rows = [facts(uniform(**{name: value})) for value in values]
    for less, more in pairwise(rows):
        assert (more >= less).all()
        assert more[0] > less[0]
        assert more[1] == less[1] if name == "resolution" else more[1] > less[1]
        assert more[2] > less[2] if name == "resolution" else True


@pytest.mark.parametrize("expansion", [3, 4])
def test_f3_inference_peak_of_the_int8_graph_grows_with_expansion_and_resolution(expansion):
    def peak(choice):
        network = empty_network(SMALL, choice, 1, 4)
        initialize(network, torch.Generator().manual_seed(0))
        summary = summarize(network, "elastic", (1, choice.resolution, choice.resolution), 4)
        return mcu_memory(summary, Last().plan(summary), 1, patches=False).items["transient_activations"]

    assert peak(uniform(expansion=6)) > peak(uniform(expansion=expansion))
    assert peak(uniform(resolution=12)) > peak(uniform(resolution=8))


def test_f5_five_stages_of_the_mobile_space_hold_7371_to_the_fifth_networks():
    assert count(MOBILE) == 7371**5


@given(number=st.integers(0, 7371**5 - 1))
def test_f5_every_number_is_one_network_and_every_network_one_number(number):
    network = decode(MOBILE, number)
    assert encode(MOBILE, network) == number
    assert architecture(MOBILE, network).blocks[0].mid_channels == 16


@given(seed=st.integers(0, 2**32 - 1))
def test_f5_a_network_drawn_at_random_comes_back(seed):
    choice = drawn(seed, MOBILE)
    assert decode(MOBILE, encode(MOBILE, choice)) == choice


def test_f5_a_small_space_is_counted_by_listing_it():
    space = SMALL.model_copy(update={"kernels": (3, 5), "expansions": (3,), "depths": (1, 2)})
    listed = {decode(space, number) for number in range(count(space))}
    assert len(listed) == count(space) == 2 * (2 + 4) ** 2
    with pytest.raises(ValueError, match="have numbers from 0 to 71, not 72"):
        decode(space, 72)


@pytest.mark.parametrize(
    "network",
    [
        SubNetwork(16, uniform().stages),
        SubNetwork(12, uniform().stages[:1]),
        SubNetwork(12, uniform(depth=4).stages),
        SubNetwork(12, uniform(kernel=9).stages),
    ],
)
def test_f5_a_network_of_another_space_has_no_number(network):
    with pytest.raises(ValueError, match="is no network of this space"):
        encode(SMALL, network)


def test_sorting_leaves_the_largest_networks_function_and_puts_the_important_channels_first():
    found, (inputs, _) = made(), batch()
    before = found.network(inputs)
    sort_channels(found.network)
    torch.testing.assert_close(found.logits(largest(SMALL), inputs), before, rtol=1e-10, atol=1e-12)
    for block in found.network.modules():
        if isinstance(block, InvertedBottleneck) and hasattr(block.main, "expand"):
            groups = importances(block).view(-1, 8).sum(1)
            assert (groups.diff() <= 1e-12).all()
