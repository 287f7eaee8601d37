import pytest

from fedtiny.errors import InputError
from fedtiny.updates.last import Last


def test_last_trains_weight_and_bias_of_the_head_and_nothing_else(lite_network, user_network):
    for network in (lite_network, user_network):
        plan = Last().plan(network)
        assert plan.trainable == ("fc.weight", "fc.bias")
        assert plan.scheme == "last"


def test_last_is_the_scheme_that_needs_no_backward_pass_below_the_head(lite_network):
    assert not Last().plan(lite_network).requires_backward


def test_last_refuses_a_network_without_a_head(headless_network):
    with pytest.raises(InputError, match=r"no head.*for update last to train"):
        Last().plan(headless_network)


def test_last_does_not_ask_for_lite_residual_modules():
    assert not Last().trains_lite_residual
