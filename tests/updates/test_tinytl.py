import pytest
from pydantic import ValidationError

from fedtiny.errors import InputError
from fedtiny.updates.tinytl import Bias, TinyTL

LITE = ("lite.conv.weight", "lite.norm.weight", "lite.norm.bias", "lite.project.weight", "lite.final.weight", "lite.final.bias")
HEAD = ("fc.weight", "fc.bias")


def test_bias_trains_all_betas_including_both_of_a_lite_module(lite_network):
    plan = Bias().plan(lite_network)
    assert plan.trainable == ("norm.bias", "lite.norm.bias", "lite.final.bias", *HEAD)
    assert (plan.scheme, plan.requires_backward) == ("bias", True)


def test_bias_trains_biases_of_convolutions_and_linear_layers_too(user_network):
    assert Bias().plan(user_network).trainable == ("conv.bias", "norm.bias", "hidden.bias", *HEAD)


def test_lite_residual_alone_trains_whole_modules_and_nothing_in_the_main_branch(lite_network):
    plan = TinyTL(bias=False).plan(lite_network)
    assert plan.trainable == (*LITE, *HEAD)
    assert plan.scheme == "tinytl_lite_residual"


def test_tinytl_freezes_only_the_beta_of_the_last_norm_of_a_module(lite_network):
    plan = TinyTL().plan(lite_network)
    assert plan.trainable == ("norm.bias", *LITE[:-1], *HEAD)
    assert plan.scheme == "tinytl"


def test_tinytl_without_lite_residual_is_bias(lite_network, user_network):
    for network in (lite_network, user_network):
        assert TinyTL(lite_residual=False).plan(network) == Bias().plan(network)


def test_tinytl_of_neither_is_refused_with_a_way_out():
    with pytest.raises(ValidationError, match=r"only the head trains.*kind: last"):
        TinyTL(bias=False, lite_residual=False)


@pytest.mark.parametrize("update", [TinyTL(), TinyTL(bias=False)])
def test_tinytl_refuses_a_network_without_lite_modules(update, user_network):
    with pytest.raises(InputError, match="carries no lite residual modules"):
        update.plan(user_network)


@pytest.mark.parametrize("update", [Bias(), TinyTL(lite_residual=False)])
def test_bias_refuses_a_network_without_a_head(update, headless_network):
    with pytest.raises(InputError, match=r"no head.*for update bias to train"):
        update.plan(headless_network)


def test_only_updates_that_train_lite_modules_ask_for_them():
    assert TinyTL().trains_lite_residual
    assert TinyTL(bias=False).trains_lite_residual
    assert not TinyTL(lite_residual=False).trains_lite_residual
    assert not Bias().trains_lite_residual
