"""What a scenario can say about int8 networks, and what does not go together."""

import pytest
import yaml

from fedtiny.errors import ScenarioError
from fedtiny.models.quantization import Int8
from fedtiny.scenario.files import load_scenario

INT8 = {"kind": "mcunet_5fps", "normalization": "folded", "quantization": {"kind": "int8"}, "pretrained": {"steps": 2}}
REAL = {"kind": "mcunet_5fps", "normalization": "folded", "pretrained": {"steps": 2}}


@pytest.fixture
def stated(tmp_path):
    def make(model: dict, quantization: dict | None = None, strategy: str = "{kind: fedavg}"):
        path = tmp_path / "scenario.yaml"
        model = model if quantization is None else {**model, "quantization": {"kind": "int8", **quantization}}
        path.write_text(
            f"""name: int8
model: {yaml.safe_dump(model, default_flow_style=True)}
data: {{kind: digits, partition: {{kind: iid}}}}
strategy: {strategy}
fleet: [{{count: 2, device: raspberry_pi_4, network: lte_static}}]
stop: {{rounds: 1}}
"""
        )
        return load_scenario(path)

    return make


def test_a_network_of_integers_is_scaled_and_has_master_values_unless_it_is_said_otherwise(stated):
    assert stated(INT8).model.quantization == Int8(calibration_examples=256, scaling="qas", storage="float_master", rounding="nearest")
    assert stated(REAL).model.quantization is None


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (({**INT8, "pretrained": None},), "model.quantization: an int8 network needs values to be quantised and examples"),
        (({**INT8, "normalization": "group"},), "add normalization: folded"),
        (({**INT8, "quantization": {"kind": "int4"}},), "model.quantization.kind"),
        (({"kind": "linear"}, {}), "model.quantization: unknown key"),
        ((INT8, {"rounding": "stochastic"}), "add storage: int8, or leave out rounding: stochastic"),
        ((INT8, {"storage": "int8"}, "{kind: dga, delay: 5}"), "model.quantization.storage: dga corrects weights by real numbers"),
    ],
)
def test_what_does_not_go_together_is_one_error_with_its_place_and_a_remedy(stated, what, message):
    with pytest.raises(ScenarioError) as caught:
        stated(*what)
    assert message in str(caught.value)


def test_dga_trains_a_network_of_integers_with_master_values(stated):
    assert stated(INT8, {}, "{kind: dga, delay: 5}").strategy.delay == 5
