from fedtiny.costs.int8_units import int8_units


def test_norm_and_activation_are_folded_into_the_operator_before(toy, toy_plans):
    assert [unit.layer.name for unit in int8_units(toy, toy_plans["full"])] == ["conv", "pool", "fc"]


def test_beta_is_the_bias_and_gamma_part_of_the_weight(toy, toy_plans):
    convolution = int8_units(toy, toy_plans["full"])[0]
    assert (convolution.weights, convolution.biases, convolution.saved) == (108, 4, 192)


def test_gamma_alone_keeps_the_input_of_its_norm(toy, toy_plans):
    convolution = int8_units(toy, toy_plans["norm_last"])[0]
    assert (convolution.weights, convolution.biases, convolution.saved) == (4, 4, 256)


def test_the_backward_pass_reaches_what_trains_and_what_is_behind_it(toy, toy_plans):
    reached = {name: [unit.has_gradient for unit in int8_units(toy, plan)] for name, plan in toy_plans.items()}
    assert reached == {"last": [False, False, True], "bias": [True] * 3, "norm_last": [True] * 3, "full": [True] * 3}
    below = [unit.needs_input_gradient for unit in int8_units(toy, toy_plans["bias"])]
    assert below == [False, True, True]


def test_a_convolution_has_a_mask_and_so_has_whatever_a_relu_follows(layer, make_network, training):
    network = make_network(
        layer("conv", "convolution", 8, 16, weight=2, bias=2),
        layer("hidden", "linear", 16, 6, weight=96, bias=6, upstream=(0,)),
        layer("relu", "relu", 6, 6, upstream=(0, 1)),
        layer("plain", "linear", 6, 5, weight=30, bias=5, upstream=(0, 1)),
        layer("fc", "linear", 5, 2, weight=10, bias=2, upstream=(0, 1, 3), section="head"),
    )
    plan = training("conv.bias", "fc.weight", "fc.bias")
    assert [unit.mask_bits for unit in int8_units(network, plan)] == [16, 6, 0, 0]


def test_a_smooth_activation_keeps_its_input_where_a_gradient_passes(layer, make_network, training):
    network = make_network(
        layer("conv", "convolution", 8, 16, weight=2, bias=2),
        layer("swish", "smooth_activation", 16, 16, upstream=(0,)),
        layer("fc", "linear", 16, 2, weight=32, bias=2, upstream=(0,), section="head"),
    )
    saved = {names: int8_units(network, training(*names, "fc.weight"))[0].saved for names in ((), ("conv.bias",))}
    assert saved == {(): 0, ("conv.bias",): 16}
