"""Federations of int8 networks, whole runs: pre-trained, quantised, trained on devices, evaluated."""

import numpy as np
import pytest

from fedtiny.errors import ModelError
from fedtiny.experiment import pretrain, run
from fedtiny.preparation import prepare
from fedtiny.scenario.schema import Scenario

PRETRAINED = {"steps": 60, "share": 0.4, "batch_size": 16, "learning_rate": 0.005}
MODEL = {"kind": "mobilenet_v2_w035", "normalization": "folded"}
INT8 = {"kind": "int8"}


@pytest.fixture(scope="module")
def stated(tmp_path_factory):
    def make(
        *, quantization: dict | None = INT8, pretrained: dict | str = PRETRAINED, precision: str = "float32", **changes: object
    ) -> Scenario:
        training = {"batch_size": 8, "local_steps": 2, "optimizer": {"kind": "sgd", "learning_rate": 0.02}, "precision": precision}
        plain = {
            "name": "int8",
            "seed": 2,
            "model": {**MODEL, "quantization": quantization, "pretrained": pretrained},
            "data": {"kind": "digits", "test_examples": 100, "partition": {"kind": "iid"}},
            "training": training,
            "strategy": {"kind": "fedavg"},
            "fleet": [{"count": 2, "device": "raspberry_pi_4", "network": "lte_static"}],
            "stop": {"rounds": 2},
            **changes,
        }
        return Scenario.model_validate(plain)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDTINY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield make


def test_the_int8_network_begins_nearly_as_good_as_the_folded_one_it_was_made_from(stated):
    start = {"stop": {"rounds": 0}}
    integer, real = (run(stated(quantization=kind, **start)).rounds["accuracy"].to_pylist()[0] for kind in (INT8, None))
    assert real > 0.25
    assert abs(integer - real) < 0.05


def test_what_is_frozen_keeps_every_bit_in_a_whole_run_and_scales_do_too(stated):
    scenario = stated(update={"kind": "bias"}, quantization={**INT8, "storage": "int8", "rounding": "stochastic"})
    before = {name: value.numpy().copy() for name, value in prepare(scenario).flat.network.state_dict().items()}
    after, again = run(scenario).model, run(scenario).model
    moved = {name for name, value in before.items() if not np.array_equal(value, after[name])}
    assert moved
    assert all(name.endswith("bias") or name.startswith("head.") for name in moved)
    assert all(np.array_equal(after[name], again[name]) for name in after)


@pytest.mark.parametrize("quantization", [INT8, {**INT8, "storage": "int8"}])
def test_devices_hold_integers_where_they_store_int8_and_real_numbers_elsewhere(stated, quantization):
    whole = []

    def observe(_device: int, _step: int, weights: dict[str, np.ndarray]) -> None:
        whole.append(all(np.array_equal(value, np.round(value)) for name, value in weights.items() if not name.startswith("head.")))

    result = run(stated(quantization=quantization, stop={"rounds": 1}), observe=observe)
    assert len(whole) == 4
    assert set(whole) == {"storage" in quantization}
    assert any("int8" in note and "carry 32 bits" in note for note in result.notes)
    assert {"lin2022ondevice", "jacob2018quantization"} <= {work["key"] for work in result.citations}


def test_dga_without_delay_is_fedavg_on_master_values_too(stated):
    precise = {"precision": "float64", "update": {"kind": "bias"}, "pretrained": {**PRETRAINED, "steps": 2}}
    averaged = run(stated(**precise)).model
    corrected = run(stated(**precise, strategy={"kind": "dga", "delay": 0})).model
    for name, value in averaged.items():
        np.testing.assert_allclose(corrected[name], value, rtol=1e-9, atol=1e-9 * float(np.abs(value).max()), err_msg=name)


def test_a_checkpoint_of_an_int8_network_holds_its_scales_and_one_of_the_folded_network_is_refused(stated, tmp_path):
    integer, real = stated(), stated(quantization=None)
    for scenario, name in ((integer, "integer"), (real, "real")):
        pretrain(scenario, tmp_path / f"{name}.safetensors")
    start = {"stop": {"rounds": 0}}
    read = stated(**start, pretrained=str(tmp_path / "integer.safetensors"))
    assert run(read).rounds["loss"].to_pylist() == run(stated(**start)).rounds["loss"].to_pylist()
    with pytest.raises(ModelError, match="does not fit the network"):
        run(stated(**start, pretrained=str(tmp_path / "real.safetensors")))
