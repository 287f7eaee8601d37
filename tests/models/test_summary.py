import subprocess
import sys

from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts


def layer(name: str, macs: int, *parameters: ParameterFacts) -> LayerFacts:
    return LayerFacts(name, "linear", "backbone", 4, 2, 1, macs, "dense_gemm", parameters, 0, (), False)


def test_a_parameter_that_two_layers_share_is_counted_once():
    shared = ParameterFacts("shared.weight", 8, "weight")
    bias = ParameterFacts("second.bias", 2, "bias")
    summary = ModelSummary("tied", (1, 2, 2), 2, (layer("first", 8, shared), layer("second", 8, shared, bias)))
    assert summary.parameters == (shared, bias)
    assert summary.parameter_elements == 10
    assert summary.forward_macs == 16


def test_the_facts_can_be_read_without_torch():
    code = "import sys, fedtiny.models.summary; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
