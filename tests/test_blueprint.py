"""The memory of a device is reckoned in the scenario's accounting."""

import pytest

from fedtiny.blueprint import blueprint, training_ledger
from fedtiny.costs.autograd_memory import autograd_memory
from fedtiny.costs.mcu_memory import mcu_memory
from fedtiny.costs.memory import tinytl_memory
from fedtiny.errors import InfeasibleError
from fedtiny.models.watch_step import watch_step
from fedtiny.preparation import check, prepare
from fedtiny.scenario.files import load_scenario
from fedtiny.training.optimizer import SGD

TEXT = """
name: counted
model: {kind: small_cnn}
data: {kind: digits, train_examples: 64}
training: {batch_size: 8, local_steps: 2}
strategy: {kind: dga, delay: 3}
fleet: [{count: 2, device: {kind: custom, memory: 40 kB, step_time: 1 s}, network: {kind: custom, latency: 0 s}}]
stop: {rounds: 1}
"""


@pytest.fixture
def plans_of(tmp_path):
    def build(**overrides):
        path = tmp_path / "scenario.yaml"
        path.write_text(TEXT)
        return blueprint(load_scenario(path, overrides))

    return build


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_accounting_counts_the_strategys_vectors_in_the_runs_precision(plans_of, precision):
    plans = plans_of(**{"training.precision": precision})
    element = 8 if precision == "float64" else 4
    step = watch_step(plans.network, "small_cnn", plans.summary.input_shape)
    expected = {
        "tinytl": tinytl_memory(plans.summary, plans.plan, 8, client_vectors=3, vector_element_bytes=element),
        "mcu": mcu_memory(plans.summary, plans.plan, 8, client_vectors=3, vector_element_bytes=element),
        "autograd": autograd_memory(plans.summary, step, plans.plan, 8, optimizer=SGD(), client_vectors=3),
    }
    for accounting, ledger in expected.items():
        found = training_ledger(plans_of(**{"training.precision": precision, "accounting": accounting}), plans.plan, 8)
        assert found.total_bytes == ledger.total_bytes, accounting
        assert found.items["client_vectors"] == 3 * element * plans.plan.trainable_elements(plans.summary)
    assert len({ledger.total_bytes for ledger in expected.values()}) == 3


def test_the_accounting_decides_what_fits(plans_of):
    sizes = {kind: training_ledger(plans_of(accounting=kind), plans_of().plan, 8).total_bytes for kind in ("tinytl", "mcu", "autograd")}
    assert sizes["mcu"] < sizes["tinytl"] < sizes["autograd"]
    between = f"{(sizes['mcu'] + sizes['tinytl']) // 2} B"
    fitting = plans_of(accounting="mcu", **{"device.memory": between}).scenario
    (participant, _) = prepare(fitting).participants
    assert participant.ledger.total_bytes == sizes["mcu"]
    with pytest.raises(InfeasibleError, match="training needs"):
        check(plans_of(**{"device.memory": between}).scenario)
