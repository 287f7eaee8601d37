"""Two networks as facts, written by hand: one with a lite residual module, one as a user might bring it."""

import pytest

from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts


def facts(name, operator, section="backbone", weight=0, bias=0, final_in_lite=False):
    sizes = {"weight": weight, "bias": bias}
    return LayerFacts(
        name=name,
        operator=operator,
        section=section,
        input_elements=64,
        output_elements=64,
        groups=1,
        macs=0,
        rate_class=None,
        parameters=tuple(ParameterFacts(f"{name}.{role}", elements, role) for role, elements in sizes.items() if elements),
        residual_elements=0,
        upstream=(),
        final_in_lite=final_in_lite,
    )


def network(*layers):
    return ModelSummary(model="by_hand", input_shape=(1, 8, 8), classes=2, layers=layers)


@pytest.fixture
def lite_network():
    return network(
        facts("conv", "convolution", weight=36),
        facts("norm", "normalization", weight=4, bias=4),
        facts("relu", "relu"),
        facts("lite.conv", "convolution", "lite_residual", weight=50),
        facts("lite.norm", "normalization", "lite_residual", weight=6, bias=6),
        facts("lite.project", "convolution", "lite_residual", weight=24),
        facts("lite.final", "normalization", "lite_residual", weight=5, bias=5, final_in_lite=True),
        facts("fc", "linear", "head", weight=8, bias=2),
    )


@pytest.fixture
def user_network():
    return network(
        facts("conv", "convolution", weight=36, bias=4),
        facts("norm", "normalization", weight=4, bias=4),
        facts("hidden", "linear", weight=40, bias=10),
        facts("fc", "linear", "head", weight=20, bias=2),
    )


@pytest.fixture
def headless_network():
    return network(facts("conv", "convolution", weight=36, bias=4), facts("pool", "other"))
