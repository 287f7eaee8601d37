from fedtiny.updates.full import Full


def test_full_trains_every_parameter(lite_network):
    plan = Full().plan(lite_network)
    assert plan.trainable == tuple(parameter.name for parameter in lite_network.parameters)
    assert plan.trainable_elements(lite_network) == lite_network.parameter_elements
    assert (plan.scheme, plan.requires_backward) == ("full", True)


def test_full_needs_no_head(headless_network):
    assert Full().plan(headless_network).trainable == ("conv.weight", "conv.bias")


def test_full_does_not_ask_for_lite_residual_modules():
    assert not Full().trains_lite_residual
