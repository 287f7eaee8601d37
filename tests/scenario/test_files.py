from pathlib import Path

import numpy as np
import pytest
import torch

from fedtiny.datasets.npz import file_digest
from fedtiny.datasets.text import corpus_digest
from fedtiny.errors import CatalogError, DataError, InfeasibleError, ModelError, ScenarioError
from fedtiny.scenario.choices import FAMILIES, AnyModel
from fedtiny.scenario.files import (
    explained,
    load_scenario,
    load_with_source,
    override,
    parse_override,
    place_of,
    python_overrides,
    read_part,
    read_tree,
    resolved_yaml,
    to_scenario,
    write_template,
)
from fedtiny.strategies.dga import DGA

STRATEGIES = [part.model_fields["kind"].default for part in FAMILIES["strategies"]]

# What is changed in the valid scenario, and what is then said, after "scenario.yaml:".
WRONG = {
    "a misspelt key": (("training:", "trainin:"), "6: trainin: unknown key: did you mean 'training'?"),
    "a misspelt key of a part": (("delay: 5", "delays: 5"), "9: strategy.delays: unknown key: did you mean 'delay'? allowed here: kind, "),
    "a key of another part": (("kind: linear", "kind: linear, width: 2"), "2: model.width: unknown key: allowed here: kind, "),
    "a misspelt kind": (
        ("kind: dga", "kind: dgaa"),
        f"9: strategy.kind: unknown kind 'dgaa': did you mean 'dga'? allowed: {', '.join(STRATEGIES)}",
    ),
    "a kind that is not built": (("kind: dga, delay: 5", "kind: fedasink"), "9: strategy.kind: unknown kind 'fedasink'"),
    "a part without its kind": (
        ("kind: dga, ", ""),
        f"9: strategy: the kind is missing: allowed kinds are {', '.join(sorted(STRATEGIES))}",
    ),
    "a misspelt word": (
        ("delay: 5", "delay: 5, late: cary"),
        "9: strategy.late: unknown word 'cary': did you mean 'carry'? ",
    ),
    "a missing key": (("stop: {rounds: 2}", ""), "1: stop: is missing, but required: When the run ends"),
    "a missing key of a part": (("delay: 5", ""), "9: strategy.delay: is missing, but required: D: local steps"),
    "a text for a number": (("local_steps: 5", "local_steps: five"), "8: training.local_steps: must be a whole number, found 'five'"),
    "a number in quotes": (("local_steps: 5", "local_steps: '5'"), "8: training.local_steps: must be a whole number, found '5'"),
    "a fraction for a count": (("local_steps: 5", "local_steps: 5.5"), "8: training.local_steps: must be a whole number, found 5.5"),
    "a truth for a count": (("local_steps: 5", "local_steps: yes"), "8: training.local_steps: must be a whole number, found true"),
    "a list for a part": (("{kind: linear}", "[linear]"), "2: model: must be keys with values, one of them the kind, found ['linear']"),
    "nothing for a part": (("{kind: linear}", ""), "2: model: must be keys with values"),
    "a word for a count": (("batch_size: 8", "batch_size: some"), "7: training.batch_size: must be a whole number or 'all', found 'some'"),
    "nought for a count": (("batch_size: 8", "batch_size: 0"), "7: training.batch_size: must be more than 0, found 0"),
    "a negative count": (("count: 2", "count: -2"), "11: fleet.0.count: must be more than 0, found -2"),
    "a negative delay": (("delay: 5", "delay: -1"), "9: strategy.delay: must be at least 0, found -1"),
    "a negative seed": (("name:", "seed: -1\nname:"), "1: seed: must be at least 0, found -1"),
    "a fraction above one": (("delay: 5", "delay: 5, fraction_train: 1.5"), "9: strategy.fraction_train: must be at most 1, found 1.5"),
    "an empty fleet": (
        (
            VALID_FLEET
            := "\n  - {count: 2, device: raspberry_pi_4, network: lte_driving}\n  - count: 1\n    device: {kind: custom, memory: 1 MB, "
            "step_time: 100 ms}\n    network: {kind: custom, latency: 60 ms, downlink: 1 Mbit/s}",
            " []",
        ),
        "10: fleet: must have at least 1 entries, found 0",
    ),
    "a missing unit": (("60 ms", "60"), "14: fleet.1.network.latency: the unit is missing in 60: write for example '20 ms'"),
    "a unit of another dimension": (("60 ms", "60 kB"), "14: fleet.1.network.latency: unknown unit 'kB' in '60 kB'"),
    "a negative latency": (("60 ms", "-60 ms"), "14: fleet.1.network.latency: '-60 ms' must be at least 0"),
    "a device that the catalog lacks": (
        ("raspberry_pi_4", "raspbery_pi_4"),
        "11: fleet.0.device: the catalog has no device 'raspbery_pi_4': did you mean 'raspberry_pi_4'",
    ),
    "a device without its speed": ((", step_time: 100 ms", ""), "13: fleet.1.device: "),
    "a misspelt key of a custom device": (("memory: 1 MB", "memry: 1 MB"), "13: fleet.1.device.memry: unknown key: did you mean 'memory'?"),
    "a run that never ends": (
        ("{rounds: 2}", "{}"),
        "15: stop: a run must end: give at least one of rounds, ",
    ),
    "a name with a slash": (("name: digits", "name: ../digits"), "1: name: must have the form"),
    "a name that is too long": (("name: digits", f"name: {'x' * 101}"), "1: name: must have at most 100 characters"),
    "an accounting that is not built": (
        ("name:", "accounting: hbm\nname:"),
        "1: accounting: unknown word 'hbm': allowed: tinytl, mcu, autograd",
    ),
    "an unknown key of the server": (("name:", "server: {latency: 1 s}\nname:"), "1: server.latency: unknown key"),
    "two equal keys": (("name:", "name: x\nname:"), "2: name: the key stands here twice"),
    "text that is not YAML": (("model: {kind: linear}", "model: {kind: linear"), "3: not valid YAML:"),
    "a schedule that does not fall": (
        ("local_steps: 5", "local_steps: 5\n  optimizer: {kind: sgd, schedule: {kind: exponential, decay: 2.0}}"),
        "9: training.optimizer.schedule.decay: must be",
    ),
    "corrections sent along where no round holds them": (
        ("delay: 5", "delay: 5, correction: in_upload, send: early"),
        "9: strategy: correction: in_upload needs a delay of 1 or more",
    ),
    "an early reply between two rounds": (
        ("delay: 5", "delay: 7, send: early"),
        "9: strategy.send: send: early needs a delay that is a ",
    ),
    "more devices asked for than there are": (
        ("delay: 5", "delay: 5, min_available_nodes: 4"),
        "9: strategy.min_available_nodes: waits for 4 devices, but the fleet has 3",
    ),
    "more devices than can be listed": (("count: 2", "count: 100000"), "10: fleet: 100001 devices are too many"),
    "a file that is not there": (
        ("kind: digits", "kind: npz\n  path: missing.npz"),
        "5: data.path: there is no file ",
    ),
}


def error(path, overrides=None):
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, overrides)
    return str(caught.value)


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_scenario_is_one_error_with_file_and_line(what, write):
    change, message = WRONG[what]
    path = write(change)
    said = error(path)
    assert said.startswith(f"{path}:{message}")
    assert "\n" not in said


def test_a_valid_scenario_has_the_documented_defaults(write):
    scenario = load_scenario(write())
    plain = scenario.to_plain()
    assert (scenario.seed, plain["update"], scenario.accounting, scenario.on_out_of_memory) == (0, {"kind": "full"}, "tinytl", "fail")
    assert plain["training"]["optimizer"] == {
        "kind": "sgd",
        "learning_rate": 0.05,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": {"kind": "constant"},
    }
    assert scenario.evaluation.every == 1
    assert scenario.strategy == DGA(delay=5, late="carry", send="after_wait", weighting="examples", fraction_train=1.0)


def test_batch_size_and_local_steps_have_the_documented_defaults(write):
    training = load_scenario(write(("training:\n  batch_size: 8\n  local_steps: 5\n", ""))).training
    assert (training.batch_size, training.local_steps, training.precision) == (32, 10, "float32")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.yaml", b"", ":1: the file says nothing"),
        ("comment.yaml", b"# nothing\n\n", ":1: the file says nothing"),
        ("list.yaml", b"- name: x\n", ":1: a scenario is a mapping of keys and values"),
        ("text.yaml", b"hello\n", ":1: a scenario is a mapping of keys and values"),
        ("binary.yaml", b"name: x\n\x93NUMPY\xff\xfe", ":2: this is not a text file in UTF-8"),
        ("utf16.yaml", "name: x".encode("utf-16"), ":1: this is not a text file in UTF-8"),
    ],
)
def test_a_file_that_is_no_scenario_is_one_error(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    assert error(path).startswith(f"{path}{message}")


def test_a_folder_and_a_missing_file_are_errors(tmp_path):
    assert error(tmp_path).startswith(f"{tmp_path}:1: this is a folder")
    assert "there is no such file" in error(tmp_path / "missing.yaml")


def test_all_problems_of_a_scenario_are_said_together_each_on_its_line(write):
    path = write(("count: 2", "count: -2"), ("60 ms", "60"), ("local_steps: 5", "local_step: 5"))
    lines = error(path).splitlines()
    assert [line.removeprefix(f"{path}:").split(":")[0] for line in sorted(lines)] == ["11", "14", "8"]


# Overrides


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("strategy=fedavg", lambda s: s.strategy.kind == "fedavg"),
        ("strategy={kind: fedavg, fraction_train: 0.5}", lambda s: s.strategy.fraction_train == 0.5),
        ("strategy.delay=10", lambda s: s.strategy.delay == 10),
        ("update=tinytl", lambda s: s.update.kind == "tinytl"),
        ("update={kind: tinytl, bias: false}", lambda s: not s.update.bias),
        ("data.partition=iid", lambda s: s.data.partition.kind == "iid"),
        ("training.optimizer.learning_rate=1e-3", lambda s: s.training.optimizer.learning_rate == 1e-3),
        ("training.batch_size=all", lambda s: s.training.batch_size == "all"),
        ("network.latency=100 ms", lambda s: s.network.latency == 0.1),
        ("device={memory: 2 MB, step_time: 1 s}", lambda s: s.device.memory == 2e6),
        ("fleet.1.count=7", lambda s: [group.count for group in s.fleet] == [2, 7]),
        ("fleet=[{count: 3, device: stm32h743, network: ble_5}]", lambda s: [group.count for group in s.fleet] == [3]),
        ("seed=3", lambda s: s.seed == 3),
        ("stop={virtual_time: 1 h}", lambda s: (s.stop.rounds, s.stop.virtual_time) == (None, 3600.0)),
        ("name=another", lambda s: s.name == "another"),
    ],
)
def test_an_override_takes_any_value_whole_parts_and_kinds_alone(text, read, write):
    scenario, _ = load_with_source(write(), [parse_override(text)])
    assert read(scenario)


def test_later_overrides_see_earlier_ones(write):
    scenario, _ = load_with_source(write(), [parse_override("strategy=dga"), parse_override("strategy.delay=3")])
    assert scenario.strategy.delay == 3


def test_kinds_alone_may_stand_in_the_file_and_be_overridden_below(write):
    path = write(("{kind: dga, delay: 5}", "fedavg"), ("model: {kind: linear}", "model: linear"))
    scenario, _ = load_with_source(path, [parse_override("strategy.weighting=uniform")])
    assert (scenario.strategy.kind, scenario.strategy.weighting, scenario.model.kind) == ("fedavg", "uniform", "linear")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed", "--set seed: expected KEY=VALUE"),
        ("=3", "--set =3: '' is no key"),
        ("a..b=3", "--set a..b=3: 'a..b' is no key"),
        ("seed=[1", "--set seed=[1: not valid YAML"),
    ],
)
def test_an_override_that_cannot_be_read_is_an_error(text, message):
    with pytest.raises(ScenarioError) as caught:
        parse_override(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("networks.latency=3 ms", "networks: unknown key: did you mean 'network'?"),
        ("network.latency=3", "network.latency: the unit is missing in 3"),
        ("fleet.9.count=3", "fleet.9.count: '9' is no position in this list: allowed are 0 to 1"),
        ("seed.x=3", "seed: must be a whole number"),
        ("name.x=3", "name.x: there is no key 'x' in 'digits_over_a_slow_link'"),
        ("strategy=[fedavg]", "strategy: must be keys with values"),
        ("strategy=dga", "strategy.delay: is missing"),
    ],
)
def test_a_wrong_override_is_said_with_the_override_as_its_place(text, message, write):
    with pytest.raises(ScenarioError) as caught:
        load_with_source(write(), [parse_override(text)])
    assert str(caught.value).startswith(f"--set {text}: {message}")


def test_overrides_from_python_are_texts_as_in_yaml_or_values_or_parts(write):
    overrides = {"network.latency": "100 ms", "strategy": DGA(delay=3), "seed": 4, "training": {"local_steps": 2}, "stop.rounds": "7"}
    scenario = load_scenario(write(), overrides)
    assert (scenario.network.latency, scenario.strategy.delay, scenario.seed, scenario.training.local_steps) == (0.1, 3, 4, 2)
    assert scenario.stop.rounds == 7
    assert python_overrides({"a.b": "[1, 2]"})[0].value == [1, 2]


def test_a_yaml_bomb_in_an_override_ends_too():
    bomb = "{" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 10)}], " for n in range(9)) + "}"
    with pytest.raises(ScenarioError, match="aliases expanded"):
        parse_override(f"data={bomb}")


# What the scenario becomes


def test_the_resolved_scenario_is_read_back_to_the_same_scenario(write):
    scenario = load_scenario(write(), {"update": "{kind: tinytl, bias: false}", "training.batch_size": "all", "network.latency": "333 us"})
    text = resolved_yaml(scenario)
    again = load_scenario(write(text=text, name="resolved.yaml"))
    assert again == scenario
    assert resolved_yaml(again) == text


def test_the_resolved_scenario_states_every_default_and_begins_parts_with_their_kind(write):
    text = resolved_yaml(load_scenario(write()))
    for line in ("seed: 0", "  kind: full", "  precision: float32", "  weighting: examples", "  late: carry", "  every: 1", "  kind: dga"):
        assert f"\n{line}\n" in text
    assert "strategy:\n  kind: dga\n" in text


def test_files_are_absolute_and_hashed_relative_to_the_scenario(write, tmp_path, monkeypatch):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    np.savez(
        tmp_path / "mine.npz", x_train=np.zeros((4, 1, 2, 2)), y_train=np.arange(4) % 2, x_test=np.zeros((2, 1, 2, 2)), y_test=np.arange(2)
    )
    (tmp_path / "net.py").write_text("class Net: ...\n")
    overrides = {"data": {"kind": "npz", "path": "mine.npz"}, "model": {"kind": "python", "path": "net.py", "name": "Net"}}
    scenario = load_scenario(write(), overrides)
    assert (scenario.data.path, scenario.data.sha256) == (str(tmp_path / "mine.npz"), file_digest(tmp_path / "mine.npz"))
    assert (scenario.model.path, scenario.model.sha256) == (str(tmp_path / "net.py"), file_digest(tmp_path / "net.py"))


TEXT = (("kind: digits", "kind: text\n  path: corpus/*.txt"), ("partition: {kind: dirichlet, alpha: 0.5}", "partition: {kind: natural}"))


def test_a_folder_of_texts_is_absolute_and_hashed_as_one(write, tmp_path):
    (tmp_path / "corpus").mkdir()
    for name in ("one", "two"):
        (tmp_path / "corpus" / f"{name}.txt").write_text(name * 20)
    scenario = load_scenario(write(*TEXT), {"data.alphabet": '"\\n eno:tw"'})
    assert (scenario.data.path, scenario.data.sha256) == (str(tmp_path / "corpus" / "*.txt"), corpus_digest(tmp_path / "corpus"))
    resolved = write(text=resolved_yaml(scenario), name="resolved.yaml")
    assert load_scenario(resolved) == scenario
    (tmp_path / "corpus" / "two.txt").write_text("2" * 20)
    assert "it is not the same file" in error(resolved)


def test_a_pattern_that_no_text_matches_is_refused(write):
    assert "there is no file" in error(write(*TEXT))
    assert "a relative path counts from the scenario's folder" in error(write(*TEXT))


def test_a_checkpoint_is_absolute_and_hashed(write, tmp_path):
    (tmp_path / "start.safetensors").write_bytes(b"values")
    model = load_scenario(write(("kind: linear", "kind: linear, pretrained: start.safetensors"))).model
    assert (model.pretrained, model.pretrained_sha256) == (str(tmp_path / "start.safetensors"), file_digest(tmp_path / "start.safetensors"))


def test_imagenet_is_no_file_and_survives_being_resolved(write):
    weights = ("kind: linear", "kind: efficientnet_lite0, pretrained: imagenet")
    first = load_scenario(write(weights)).model
    again = load_scenario(write(text=resolved_yaml(load_scenario(write(weights))), name="again.yaml")).model
    assert (first.pretrained, first.pretrained_sha256) == (again.pretrained, again.pretrained_sha256) == ("imagenet", None)
    assert "only model efficientnet_lite0 has weights from imagenet" in error(write(("kind: linear", "kind: linear, pretrained: imagenet")))


def test_a_file_that_changed_since_it_was_hashed_is_refused(write, tmp_path):
    (tmp_path / "start.safetensors").write_bytes(b"values")
    resolved = write(
        text=resolved_yaml(load_scenario(write(("kind: linear", "kind: linear, pretrained: start.safetensors")))), name="r.yaml"
    )
    (tmp_path / "start.safetensors").write_bytes(b"other values")
    assert "it is not the same file" in error(resolved)


def test_a_network_may_be_given_from_python(write):
    scenario = load_scenario(write(), model=torch.nn.Identity)
    assert (scenario.model.kind, scenario.model.name, scenario.model.factory) == ("python", "Identity", torch.nn.Identity)
    assert "  kind: python\n  name: Identity\n" in resolved_yaml(scenario)


# What is found later


@pytest.mark.parametrize(
    ("found", "place"),
    [
        (InfeasibleError("does not fit", ("fleet", 1)), "12: fleet.1: does not fit"),
        (ScenarioError("wrong", ("strategy", "delay")), "9: strategy.delay: wrong"),
        (DataError("no such file"), "3: data: no such file"),
        (ModelError("no such layer"), "2: model: no such layer"),
        (CatalogError("no such device"), "10: fleet: no such device"),
    ],
)
def test_what_is_found_after_reading_gets_file_and_line_too(write, found, place):
    path = write()
    _, sources = load_with_source(path)
    with pytest.raises(type(found)) as caught, explained(sources):
        raise found
    assert str(caught.value) == f"{path}:{place}"
    assert place_of(caught.value) == place_of(found)


def test_a_tree_can_be_checked_again_and_again(write):
    path = write()
    tree = read_tree(path)
    seeds = [to_scenario(override(tree, [parse_override(f"seed={seed}")]), path.parent).seed for seed in (1, 2)]
    assert (seeds, to_scenario(tree, path.parent).seed) == ([1, 2], 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mobilnet_v2", "MODEL: kind: unknown kind 'mobilnet_v2': did you mean 'mobilenet_v2'?"),
        ("{kind: mobilenet_v2, width: 0}", "MODEL: width: must be more than 0"),
        ("[1", "MODEL: not valid YAML"),
        ("3", "MODEL: must be keys with values"),
    ],
)
def test_a_part_alone_is_read_with_the_same_care(text, message):
    assert read_part("{kind: mobilenet_v2, width: 0.5}", AnyModel, "MODEL").width == 0.5
    with pytest.raises(ScenarioError) as caught:
        read_part(text, AnyModel, "MODEL")
    assert str(caught.value).startswith(message)


# The template


def test_the_template_is_a_valid_scenario_with_comments_and_is_never_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_template("first")
    assert path == Path("first.yaml")
    assert load_scenario(path).name == "first"
    assert path.read_text().count("#") > 10
    with pytest.raises(ScenarioError, match="exists already"):
        write_template("first.yaml")


@pytest.mark.parametrize("name", ["-x", "no/folder/x", "a b"])
def test_a_template_needs_a_name_and_a_place(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioError):
        write_template(name)
