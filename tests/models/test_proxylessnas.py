import pytest
import torch

from fedtiny.models.measure import summarize
from fedtiny.models.proxylessnas import ProxylessNasMobile, proxylessnas_mobile
from fedtiny.models.summary import ModelSummary


@pytest.fixture(scope="module")
def summary() -> ModelSummary:
    network = ProxylessNasMobile().build((3, 224, 224), 102, lite_residual=True, generator=torch.Generator().manual_seed(1))
    return summarize(network, "proxylessnas_mobile", (3, 224, 224), 102)


def elements(summary: ModelSummary, section: str) -> int:
    return sum(parameter.elements for layer in summary.layers if layer.section == section for parameter in layer.parameters)


def test_without_lite_residual_modules_it_has_the_published_number_of_parameters():
    network = ProxylessNasMobile().build((3, 224, 224), 1000, lite_residual=False, generator=torch.Generator().manual_seed(1))
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_080_512


def test_backbone_lite_residual_modules_and_head_have_the_published_numbers_of_parameters(summary):
    assert elements(summary, "backbone") == 2_799_512
    assert elements(summary, "lite_residual") == 1_816_416
    assert elements(summary, "head") == 130_662
    assert summary.parameter_elements == 4_746_590


def test_the_largest_layer_in_and_out_is_the_expansion_of_the_second_block(summary):
    largest = max(
        (layer for layer in summary.layers if layer.operator == "convolution"),
        key=lambda layer: layer.input_elements + layer.output_elements // layer.groups,
    )
    assert largest.name == "blocks.1.main.expand.convolution"
    assert 4 * (largest.input_elements + largest.output_elements) == 3_211_264


def test_lite_kernels_are_five_but_three_in_the_last_blocks_of_stage_five_and_in_stage_six(summary):
    kernels = {}
    for layer in summary.layers:
        if layer.name.endswith("lite_residual.group_convolution"):
            block = int(layer.name.split(".")[1])
            in_channels = proxylessnas_mobile().blocks[block].in_channels
            kernels[block] = (layer.parameters[0].elements / (in_channels * in_channels // 2)) ** 0.5
    assert [*kernels] == [*range(1, 20)]
    stage_five, stage_six = 1 + 2 + 4 + 4 + 4, 1 + 2 + 4 + 4 + 4 + 4
    three = {stage_five + 1, stage_five + 2, stage_five + 3, stage_six}
    assert {block for block, kernel in kernels.items() if kernel == 3} == three
    assert {block for block, kernel in kernels.items() if kernel == 5} == set(kernels) - three


def test_a_smaller_input_changes_no_parameter():
    small = ProxylessNasMobile().build((3, 8, 8), 102, lite_residual=True, generator=torch.Generator().manual_seed(1))
    assert sum(parameter.numel() for parameter in small.parameters()) == 4_746_590
