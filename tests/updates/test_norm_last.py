import pytest

from fedtiny.errors import InputError
from fedtiny.updates.norm_last import NormLast


def test_norm_last_trains_all_norms_in_main_and_lite_branches_and_the_head(lite_network):
    plan = NormLast().plan(lite_network)
    norms = ("norm.weight", "norm.bias", "lite.norm.weight", "lite.norm.bias", "lite.final.weight", "lite.final.bias")
    assert plan.trainable == (*norms, "fc.weight", "fc.bias")
    assert (plan.scheme, plan.requires_backward) == ("norm_last", True)


def test_norm_last_leaves_biases_of_convolutions_frozen(user_network):
    assert NormLast().plan(user_network).trainable == ("norm.weight", "norm.bias", "fc.weight", "fc.bias")


def test_norm_last_refuses_a_network_without_a_head(headless_network):
    with pytest.raises(InputError, match=r"no head.*for update norm_last to train"):
        NormLast().plan(headless_network)


def test_norm_last_does_not_ask_for_lite_residual_modules():
    assert not NormLast().trains_lite_residual
