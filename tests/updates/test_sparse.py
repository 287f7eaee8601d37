"""Which tensors a sparse update trains, on networks described by hand and on the published ones."""

import functools

import pytest
import torch
from pydantic import ValidationError

from fedtiny.errors import ScenarioError
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.measure import summarize
from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts
from fedtiny.updates.convolutions import main_convolutions
from fedtiny.updates.published_sparse import PUBLISHED, published_for
from fedtiny.updates.sparse import Sparse

MODELS = {"mcunet_5fps": McuNet5Fps, "mobilenet_v2_w035": MobileNetV2W035, "proxylessnas_w03": ProxylessNasW03}
CONVOLUTIONS = {"mcunet_5fps": 42, "mobilenet_v2_w035": 51, "proxylessnas_w03": 60}


@functools.cache
def published_network(kind, normalization="group", *, lite_residual=False):
    model = MODELS[kind](normalization=normalization)
    network = model.build((3, 64, 64), 10, lite_residual=lite_residual, generator=torch.Generator().manual_seed(0))
    return summarize(network, kind, (3, 64, 64), 10)


def layer(name, operator, section="backbone", groups=1, **shapes):
    sizes = {role: torch.Size(shape).numel() for role, shape in shapes.items()}
    parameters = tuple(ParameterFacts(f"{name}.{role}", sizes[role], role, shape) for role, shape in shapes.items())
    return LayerFacts(name, operator, section, 64, 64, groups, 0, None, parameters, 0, (), False)


NORMED = ModelSummary(
    "normed",
    (3, 8, 8),
    2,
    (
        layer("stem", "convolution", weight=(8, 3, 3, 3)),
        layer("stem_norm", "normalization", weight=(8,), bias=(8,)),
        layer("relu", "relu"),
        layer("depthwise", "convolution", groups=8, weight=(8, 1, 3, 3)),
        layer("depthwise_norm", "normalization", weight=(8,), bias=(8,)),
        layer("lite", "convolution", "lite_residual", weight=(4, 8, 1, 1)),
        layer("lite_norm", "normalization", "lite_residual", weight=(4,), bias=(4,)),
        layer("grouped", "convolution", groups=2, weight=(4, 4, 1, 1)),
        layer("grouped_norm", "normalization", weight=(4,), bias=(4,)),
        layer("project", "convolution", weight=(6, 4, 1, 1)),
        layer("project_norm", "normalization", weight=(6,), bias=(6,)),
        layer("fc", "linear", "head", weight=(2, 6), bias=(2,)),
    ),
)
HEAD = ("fc.weight", "fc.bias")


def test_convolutions_are_those_of_the_main_branch_with_the_beta_behind_them_as_bias():
    found = main_convolutions(NORMED)
    assert [one.layer.name for one in found] == ["stem", "depthwise", "grouped", "project"]
    assert [one.bias.name for one in found] == ["stem_norm.bias", "depthwise_norm.bias", "grouped_norm.bias", "project_norm.bias"]
    assert [(one.in_channels, one.out_channels) for one in found] == [(3, 8), (8, 8), (8, 4), (4, 6)]


def test_a_bias_of_its_own_comes_before_a_beta_and_another_convolution_ends_the_search():
    both = ModelSummary(
        "both",
        (3, 8, 8),
        2,
        (
            layer("first", "convolution", weight=(8, 3, 1, 1), bias=(8,)),
            layer("norm", "normalization", weight=(8,), bias=(8,)),
            layer("bare", "convolution", weight=(8, 8, 1, 1)),
            layer("last", "convolution", weight=(8, 8, 1, 1)),
            layer("end", "normalization", weight=(8,), bias=(8,)),
            layer("fc", "linear", "head", weight=(2, 8), bias=(2,)),
        ),
    )
    assert [one.bias and one.bias.name for one in main_convolutions(both)] == ["first.bias", None, "end.bias"]
    assert Sparse(biases=3).plan(both).trainable == ("first.bias", "end.bias", *HEAD)


def test_the_last_biases_and_the_head_train():
    plan = Sparse(biases=2).plan(NORMED)
    assert plan.trainable == ("grouped_norm.bias", "project_norm.bias", *HEAD)
    assert (plan.scheme, plan.requires_backward, plan.channels) == ("sparse", True, ())


def test_no_biases_is_the_head_only():
    plan = Sparse(biases=0).plan(NORMED)
    assert (plan.trainable, plan.requires_backward) == (HEAD, False)


def test_a_weight_trains_on_its_share_of_input_channels_rounded_down():
    plan = Sparse(biases=4, weights={0: 0.7, 1: 0.4, 3: 1}).plan(NORMED)
    assert plan.trainable_names - set(Sparse(biases=4).plan(NORMED).trainable) == {"stem.weight", "depthwise.weight", "project.weight"}
    assert plan.channels == (("stem.weight", 2), ("depthwise.weight", 3))
    elements = {one.name: plan.elements_of(layer, one) for layer in NORMED.layers for one in layer.parameters}
    assert (elements["stem.weight"], elements["depthwise.weight"], elements["project.weight"]) == (8 * 2 * 9, 3 * 9, 24)


@pytest.mark.parametrize("ratio", [0, 0.2])
def test_a_ratio_that_leaves_no_channel_trains_the_bias_only(ratio):
    assert Sparse(biases=2, weights={3: ratio}).plan(NORMED) == Sparse(biases=2).plan(NORMED)


def test_a_grouped_convolution_that_is_not_depthwise_trains_whole():
    plan = Sparse(biases=2, weights={2: 0.25}).plan(NORMED)
    assert "grouped.weight" in plan.trainable
    assert plan.channels == ()


def test_a_weight_below_the_last_biases_is_refused_with_the_remedy():
    with pytest.raises(ScenarioError, match=r"convolution 1 is below the last 2, 2 to 3.*raise biases to 3") as refusal:
        Sparse(biases=2, weights={1: 1, 3: 1}).plan(NORMED)
    assert refusal.value.path == ("update", "weights")


def test_a_weight_behind_the_last_convolution_is_refused():
    with pytest.raises(ScenarioError, match=r"normed has 4 convolutions, 0 to 3, found 4"):
        Sparse(biases=2, weights={4: 1}).plan(NORMED)


def test_more_biases_than_convolutions_are_refused():
    with pytest.raises(ScenarioError, match=r"has 4 convolutions, found 5"):
        Sparse(biases=5).plan(NORMED)


def test_a_network_without_a_head_is_refused():
    headless = ModelSummary("headless", (3, 8, 8), 2, NORMED.layers[:-1])
    with pytest.raises(ScenarioError, match="no head"):
        Sparse(biases=1).plan(headless)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({}, "say either scheme"),
        ({"scheme": "mcunet_5fps_49kb", "biases": 3}, "say either scheme"),
        ({"scheme": "mcunet_5fps_49kb", "weights": {}}, "say either scheme"),
        ({"weights": {3: 1}}, "add biases"),
        ({"biases": -1}, "greater than or equal to 0"),
        ({"biases": True}, "valid integer"),
        ({"biases": 3, "weights": {3: 1.5}}, "less than or equal to 1"),
        ({"biases": 3, "weights": {3: -0.5}}, "greater than or equal to 0"),
        ({"biases": 3, "weights": {"last": 1}}, "found 'last'"),
        ({"biases": 3, "weights": {-1: 1}}, "greater than or equal to 0"),
        ({"scheme": "mcunet_5fps_50kb"}, "'mcunet_5fps_49kb'"),
    ],
)
def test_what_makes_no_scheme_is_refused(keys, problem):
    with pytest.raises(ValidationError, match=problem):
        Sparse(**keys)


@pytest.mark.parametrize("update", [Sparse(biases=20, weights={23: 0, 24: 0.25}), Sparse(scheme="proxylessnas_w03_98kb")])
def test_what_a_sparse_update_says_of_itself_makes_it_again(update):
    assert Sparse(**update.to_plain()) == Sparse.model_validate_json(update.model_dump_json()) == update


def test_a_sparse_update_asks_for_no_lite_modules():
    assert not Sparse(biases=1).trains_lite_residual


@pytest.mark.parametrize("normalization", ["group", "folded"])
@pytest.mark.parametrize("kind", MODELS)
def test_the_published_networks_have_as_many_convolutions_as_the_paper_counts_each_with_a_bias(kind, normalization):
    found = main_convolutions(published_network(kind, normalization))
    assert len(found) == CONVOLUTIONS[kind]
    assert all(one.bias is not None and one.bias.elements == one.out_channels for one in found)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_scheme_trains_what_it_says_with_and_without_norms(name):
    published = PUBLISHED[name]
    elements = set()
    for normalization in ("group", "folded"):
        summary = published_network(published.model, normalization)
        plan = Sparse(scheme=name).plan(summary)
        assert plan.scheme == name
        biases = [one for one in plan.trainable if one.endswith("bias") and not one.startswith("head")]
        weights = [one for one in plan.trainable if one.endswith("weight") and not one.startswith("head")]
        assert len(biases) == published.biases
        assert len(weights) == sum(ratio > 0 for ratio in published.ratios)
        elements.add(plan.trainable_elements(summary))
    assert len(elements) == 1


def test_a_scheme_in_words_of_its_own_equals_the_published_one():
    summary = published_network("mcunet_5fps")
    own = Sparse(biases=20, weights={24: 0.25, 27: 0.5, 30: 0.5}).plan(summary)
    named = Sparse(scheme="mcunet_5fps_49kb").plan(summary)
    assert (own.trainable, own.channels) == (named.trainable, named.channels)


def test_lite_residual_modules_beside_the_main_branch_change_no_scheme():
    plain, lite = (published_network("mcunet_5fps", lite_residual=lite) for lite in (False, True))
    scheme = Sparse(scheme="mcunet_5fps_99kb")
    assert scheme.plan(plain).trainable == scheme.plan(lite).trainable
    assert len(lite.parameters) > len(plain.parameters)


def test_a_scheme_of_another_network_is_refused_naming_its_own():
    with pytest.raises(
        ScenarioError, match=r"belongs to model mcunet_5fps, not proxylessnas_w03: use one of proxylessnas_w03_49kb, "
    ) as refusal:
        Sparse(scheme="mcunet_5fps_49kb").plan(published_network("proxylessnas_w03"))
    assert refusal.value.path == ("update", "scheme")
    with pytest.raises(ScenarioError, match="not normed: say biases and weights instead"):
        Sparse(scheme="mcunet_5fps_49kb").plan(NORMED)


def test_there_are_five_published_schemes_of_each_network():
    assert {kind: len(published_for(kind)) for kind in MODELS} == dict.fromkeys(MODELS, 5)
    assert len(PUBLISHED) == 15
    assert all(name == f"{scheme.model}_{scheme.kilobytes}kb" for name, scheme in PUBLISHED.items())
