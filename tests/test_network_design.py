import json
from dataclasses import replace

import pytest
import torch

import fedtiny
from fedtiny.blueprint import blueprint, training_ledger
from fedtiny.cli import main
from fedtiny.costs.compute import step_seconds
from fedtiny.design_folder import document, write_design
from fedtiny.errors import DataError, FolderError, InfeasibleError, ScenarioError
from fedtiny.models.elastic_space import largest, random_subnetwork, smallest
from fedtiny.network_bounds import constraints_of, devices_of, facts_of, needs_of, network_for
from fedtiny.network_design import design
from fedtiny.preparation import prepare
from fedtiny.reports.page import write_design_report

SCENARIO = """
name: tiny_design
seed: 3
model: {kind: mobilenet_v2, width: 0.35, pretrained: {steps: 8, share: 0.3, netaug: {width: [1, 1.6], expansion: [1, 1.6]}}}
data: {kind: digits, train_examples: 400, test_examples: 100}
training: {batch_size: 4, local_steps: 2}
update: bias
strategy: fedavg
fleet:
  - {count: 2, device: stm32f746, network: wifi_esp32_s3}
  - {count: 1, device: stm32h743, network: wifi_esp32_s3}
accounting: mcu
stop: {rounds: 1}
design:
  space:
    stem: 8
    stages: [{channels: 8, stride: 1}, {channels: 16}]
    depths: [1, 2]
    kernels: [3, 5]
    expansions: [3, 4]
    resolutions: [6, 8]
  widths: [1.0, 2.0]
  samples: 4
  supernet: {steps: 6, kernel_steps: 2, depth_steps: 2, expansion_steps: 2, batch_size: 16}
  search: {population: 4, generations: 2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("design")


@pytest.fixture(scope="module")
def scenario(folder):
    """Loads the scenario with other values; what is trained for it is cached in the folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDTINY_CACHE", str(folder / "cache"))
        (folder / "tiny.yaml").write_text(SCENARIO)
        yield lambda **overrides: fedtiny.load_scenario(folder / "tiny.yaml", overrides)


@pytest.fixture(scope="module")
def made(scenario, folder):
    """A design, what it told on its way, and the report that it left."""
    told = []
    found = design(scenario(), told.append)
    return found, told, write_design(found, folder / "out")


def test_a_design_ends_with_a_network_that_fits_and_a_scenario_that_runs_with_it(made):
    found, told, report = made
    assert list(dict.fromkeys(one.phase for one in told)) == ["sampling spaces", "supernet", "searching", "pre-training"]
    assert all(found.constraints.met(one.network) for people in found.searched.generations for one in people)
    left = ["checkpoint", "citations.bib", "design.json", "figures", "report.html", "scenario.yaml"]
    assert sorted(path.name for path in report.parent.iterdir()) == left
    loaded = fedtiny.load_scenario(report.parent / "scenario.yaml")
    world = prepare(loaded)
    assert all(torch.equal(value, found.network.state_dict()[name]) for name, value in world.blueprint.network.state_dict().items())
    for participant, needs in zip([world.participants[0], world.participants[2]], found.needs, strict=True):
        assert participant.ledger.total_bytes == needs.ledger.total_bytes <= participant.traits.device.memory
        assert step_seconds(world.blueprint.summary, participant.plan, 4, participant.traits.device) == needs.step_seconds
    result = fedtiny.run(loaded)
    assert result.rounds.column("accuracy")[0].as_py() == pytest.approx(found.stages[-1].accuracy)


def test_the_document_and_the_page_say_what_was_found_and_the_page_needs_nothing_else(made):
    found, _, report = made
    written, page = json.loads((report.parent / "design.json").read_text()), report.read_text()
    assert written == json.loads(json.dumps(document(found)))
    assert written["evaluated"][written["found"]]["score"] == found.searched.best.score
    assert sum(space["chosen"] for space in written["spaces"]) == 1
    assert "does not fit" in page or "fits" in page
    assert "<script src" not in page
    assert "Once-for-All" in page


def test_the_command_says_what_was_found_and_where_it_is(scenario, made, folder, capsys):
    scenario()
    assert main(["design", str(folder / "tiny.yaml"), "--output", str(folder / "typed")]) == 0
    printed = capsys.readouterr().out
    assert "own: mobilenet_v2" in printed
    assert f"next: fedtiny run {folder / 'typed' / 'scenario.yaml'}" in printed
    for name in ("scenario.yaml", "design.json", "checkpoint/model.safetensors", "checkpoint/architecture.yaml", "report.html"):
        assert (folder / "typed" / name).read_bytes() == (made[2].parent / name).read_bytes()
    assert main(["report", str(folder / "typed"), "--out", str(folder / "drawn")]) == 0
    assert (folder / "drawn" / "report.html").read_bytes() == made[2].read_bytes()
    capsys.readouterr()
    assert main(["design", str(folder / "tiny.yaml"), "--set", "device.memory='2 kB'"]) == 2
    assert "tiny.yaml:14: design: no network of the search space fits" in capsys.readouterr().err


def test_a_design_folder_without_its_document_is_none(tmp_path):
    (tmp_path / "design.json").write_text("[1]")
    with pytest.raises(FolderError, match="is no document of a design"):
        write_design_report(tmp_path)
    (tmp_path / "design.json").write_text("{")
    with pytest.raises(FolderError, match="is no folder of a design"):
        write_design_report(tmp_path)


def test_a_design_is_the_same_again_and_needs_no_training_for_it(scenario, made):
    told = []
    again = design(scenario(), told.append)
    assert {one.phase for one in told} == {"sampling spaces", "searching"}
    assert document(made[0]) == document(again)
    assert all(torch.equal(value, again.network.state_dict()[name]) for name, value in made[0].network.state_dict().items())


def test_clients_hold_none_of_the_examples_that_the_server_learnt_from(scenario, made):
    own = prepare(scenario(update="last", on_out_of_memory="exclude", **{"model.pretrained.steps": 1, "model.pretrained.netaug": None}))
    following = prepare(fedtiny.load_scenario(made[2].parent / "scenario.yaml"))
    for before, after in zip(own.participants, following.participants, strict=True):
        assert sorted(before.batches.indices) == sorted(after.batches.indices)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        ({"design": None}, ScenarioError, "there is no search space"),
        ({"model.pretrained": None}, ScenarioError, "add model.pretrained"),
        ({"training.batch_size": "all"}, ScenarioError, "what training takes depends on the batch"),
        ({"device.memory": "2 kB"}, InfeasibleError, r"its smallest breaks training memory on stm32f746: it needs .* 2 kB are allowed"),
        ({"design.limits": {"step_time": "1 ms"}}, InfeasibleError, r"breaks time of a step on stm32f746: it needs .* s and 0.001 s are"),
        ({"design.limits": {"inference_time": "1 us"}}, InfeasibleError, "breaks time of an inference on stm32f746"),
        ({"design.limits": {"step_energy": "1 uJ"}}, InfeasibleError, "breaks energy of a step on stm32f746"),
        ({"design.limits": {"flash": "1 kB"}}, InfeasibleError, r"breaks flash: it needs .* kB and 1 kB are allowed, .* too much"),
        ({"design.limits": {"training_memory": "2 kB"}}, InfeasibleError, "training memory on stm32h743: it needs"),
        ({"model.pretrained.share": 0.004}, DataError, "0 would be held out for validation"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_with_the_bound_and_by_how_much(scenario, overrides, error, message):
    with pytest.raises(error, match=message):
        design(scenario(**overrides))


def test_it_is_about_images(scenario, tmp_path):
    (tmp_path / "words.txt").write_text("to be or not to be " * 40)
    data = {"kind": "text", "path": str(tmp_path / "words.txt"), "sequence_length": 8}
    with pytest.raises(ScenarioError, match="tell images apart, and words has none"):
        design(scenario(data=data, model={"kind": "char_lstm", "pretrained": {"steps": 1}}, update="full", accounting="tinytl"))


@pytest.mark.parametrize("accounting", ["mcu", "tinytl", "autograd"])
def test_needs_are_those_of_the_ledger_and_the_profiles_to_the_byte(scenario, accounting):
    loaded = scenario(accounting=accounting, device={"memory": "100 MB"})
    plans = blueprint(loaded)
    space = loaded.design.space.scaled(2.0).model_copy(update={"resolutions": (8,)})
    limits = loaded.design.limits.model_copy(update={"flash": 1e6, "step_time": 1e3, "inference_time": 1e3, "step_energy": 1e3})
    constraints = constraints_of(plans, limits, space)
    generator = plans.streams.numpy("test")
    for choice in (smallest(space), largest(space), random_subnetwork(space, generator)):
        network = network_for(plans, space, choice)
        summary, costs = facts_of(plans, network, 8), constraints.costs(choice)
        own = replace(plans, network=network, summary=summary)
        plan = loaded.update.plan(summary)
        for name, device in devices_of(plans).items():
            seconds = step_seconds(summary, plan, 4, device)
            assert costs.needs[f"training memory on {name}"] == training_ledger(own, plan, 4).total_bytes
            assert costs.needs[f"time of a step on {name}"] == seconds
            assert costs.needs[f"energy of a step on {name}"] == pytest.approx(seconds * device.power.active)
        assert costs.needs["flash"] == summary.parameter_elements


def test_f6_the_time_of_an_inference_is_the_sum_over_its_layers(scenario):
    loaded = scenario()
    plans, space = blueprint(loaded), loaded.design.space
    network = network_for(plans, space, largest(space))
    summary = facts_of(plans, network, 8)
    needs = {one.name: one for one in needs_of(plans, network, summary, loaded.design.limits)}
    for name, device in devices_of(plans).items():
        table = {layer.name: summary_of_one(summary, layer, device) for layer in summary.layers}
        assert len(table) == len(summary.layers)
        assert needs[name].inference_seconds == pytest.approx(sum(table.values()), rel=1e-12)


def summary_of_one(summary, layer, device):
    """Seconds of one layer alone: its work or its bytes, whichever takes longer."""
    rates = device.rates
    rate = {"dense_gemm": rates.dense_gemm, "depthwise": rates.depthwise}.get(layer.rate_class, rates.dense_convolution)
    moved = 4 * (sum(one.elements for one in layer.parameters) + layer.input_elements + layer.output_elements) / device.memory_bandwidth
    if layer.operator == "other" and not layer.macs and not layer.parameters and layer.input_elements == layer.output_elements:
        return 0.0
    return max(layer.macs / rate, moved) if layer.rate_class else moved


def test_devices_that_page_have_no_limit_of_memory_but_one_that_is_stated(scenario):
    fleet = [{"count": 1, "device": "raspberry_pi_zero_2w", "network": "wifi_esp32_s3"}]
    loaded = scenario(fleet=fleet, accounting="tinytl")
    plans, space = blueprint(loaded), loaded.design.space
    assert constraints_of(plans, loaded.design.limits, space).bounds == ()
    stated = loaded.design.limits.model_copy(update={"training_memory": 5e6})
    assert [bound.name for bound in constraints_of(plans, stated, space).bounds] == ["training memory on raspberry_pi_zero_2w"]


def test_of_several_updates_the_first_that_fits_decides(scenario):
    loaded = scenario(update={"kind": "automatic", "candidates": ["full", "last"]}, device={"memory": "100 MB"})
    plans, space = blueprint(loaded), loaded.design.space
    network = network_for(plans, space, largest(space))
    summary = facts_of(plans, network, 8)

    def needs(most):
        return needs_of(plans, network, summary, loaded.design.limits.model_copy(update={"training_memory": most}))[0]

    full = needs(None)
    assert full.update == "full"
    assert [needs(most).update for most in (full.ledger.total_bytes, full.ledger.total_bytes - 1, 1.0)] == ["full", "last", "last"]
