"""Networks as facts, written by hand, so that costs are tested without torch."""

import pytest

from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts
from fedtiny.updates.plan import UpdatePlan


def facts(
    name, operator, inputs, outputs, weight=0, bias=0, upstream=(), macs=0, rate_class=None, groups=1, residual=0, section="backbone"
):
    sizes = {"weight": weight, "bias": bias}
    return LayerFacts(
        name=name,
        operator=operator,
        section=section,
        input_elements=inputs,
        output_elements=outputs,
        groups=groups,
        macs=macs,
        rate_class=rate_class,
        parameters=tuple(ParameterFacts(f"{name}.{role}", elements, role) for role, elements in sizes.items() if elements),
        residual_elements=residual,
        upstream=upstream,
        final_in_lite=False,
    )


def network(*layers):
    return ModelSummary(model="by_hand", input_shape=(3, 8, 8), classes=2, layers=layers)


def train(*names, requires_backward=True):
    return UpdatePlan(scheme="by_hand", trainable=names, requires_backward=requires_backward)


@pytest.fixture
def layer():
    return facts


@pytest.fixture
def make_network():
    return network


@pytest.fixture
def training():
    return train


@pytest.fixture
def toy():
    """Input 3x8x8, 3x3 convolution to 4 channels without bias, GroupNorm, ReLU, global average pooling, linear 4 -> 2."""
    return network(
        facts("conv", "convolution", 192, 256, weight=108, macs=6912, rate_class="dense_convolution"),
        facts("norm", "normalization", 256, 256, weight=4, bias=4, upstream=(0,)),
        facts("relu", "relu", 256, 256, upstream=(0, 1)),
        facts("pool", "other", 256, 4, upstream=(0, 1)),
        facts("fc", "linear", 4, 2, weight=8, bias=2, upstream=(0, 1), macs=8, rate_class="dense_gemm", section="head"),
    )


@pytest.fixture
def toy_plans():
    head = ("fc.weight", "fc.bias")
    return {
        "last": train(*head, requires_backward=False),
        "bias": train("norm.bias", *head),
        "norm_last": train("norm.weight", "norm.bias", *head),
        "full": train("conv.weight", "norm.weight", "norm.bias", *head),
    }
