import dataclasses
import subprocess
import sys
from fractions import Fraction

import pytest

from fedtiny.errors import ScenarioError
from fedtiny.models.summary import ParameterFacts
from fedtiny.updates.plan import UpdatePlan, plan_where, require_head, require_lite_residual, trained_share


def test_trainable_elements_count_only_what_trains(lite_network):
    plan = UpdatePlan(scheme="by_hand", trainable=("norm.bias", "fc.weight"), requires_backward=True)
    assert plan.trainable_elements(lite_network) == 4 + 8


def test_names_follow_the_order_of_the_model(lite_network):
    plan = plan_where("by_hand", lite_network, lambda layer, parameter: parameter.role == "bias")
    assert plan.trainable == ("norm.bias", "lite.norm.bias", "lite.final.bias", "fc.bias")


def test_a_parameter_that_two_calls_share_is_planned_and_counted_once(user_network):
    twice = dataclasses.replace(user_network, layers=(*user_network.layers, user_network.layers[0]))
    plan = plan_where("by_hand", twice, lambda layer, parameter: layer.name == "conv")
    assert plan.trainable == ("conv.weight", "conv.bias")
    assert plan.trainable_elements(twice) == 40


def test_the_weight_of_a_layer_trains_only_if_it_is_named_itself(lite_network):
    norm = lite_network.layers[1]
    assert trained_share(norm, UpdatePlan("by_hand", ("norm.weight",), True)) == 1
    assert trained_share(norm, UpdatePlan("by_hand", ("norm.bias", "conv.weight"), True)) == 0


def test_a_weight_that_trains_on_some_channels_counts_in_their_share(lite_network):
    weight = ParameterFacts("conv.weight", 8 * 6 * 9, "weight", (8, 6, 3, 3))
    convolution = dataclasses.replace(lite_network.layers[0], groups=1, parameters=(weight,))
    plan = UpdatePlan("by_hand", ("conv.weight",), True, channels=(("conv.weight", 2),))
    assert trained_share(convolution, plan) == Fraction(1, 3)
    assert plan.elements_of(convolution, weight) == 8 * 2 * 9


def test_a_network_without_a_head_is_refused_with_a_way_out(headless_network, lite_network):
    require_head("last", lite_network)
    with pytest.raises(ScenarioError, match=r"by_hand has no head.*update: \{kind: full\}") as error:
        require_head("last", headless_network)
    assert error.value.path == ("update",)


def test_a_network_without_lite_modules_is_refused_with_a_way_out(user_network, lite_network):
    require_lite_residual("tinytl", lite_network)
    with pytest.raises(ScenarioError, match=r"by_hand carries no lite.*proxylessnas_mobile.*\{kind: bias\}") as error:
        require_lite_residual("tinytl", user_network)
    assert error.value.path == ("update",)


def test_plans_are_made_without_torch():
    program = "import sys, fedtiny.updates.schemes, fedtiny.updates.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
