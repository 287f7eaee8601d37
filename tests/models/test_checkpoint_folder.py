import hashlib
import json
import struct

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import fedtiny
from fedtiny.design.pretraining import shares_of
from fedtiny.errors import InputError, ModelError
from fedtiny.models.checkpoint import Checkpoint
from fedtiny.models.checkpoint_folder import ARCHITECTURE, VALUES, read_description, read_values, write_checkpoint
from fedtiny.models.inverted_bottleneck import convolution_unit, folded_unit
from fedtiny.models.mobile_architecture import MobileArchitecture, Stem, block
from fedtiny.models.mobile_network import build_mobile_network
from fedtiny.preparation import prepare
from fedtiny.randomness import Streams

SHAPE = (1, 8, 8)
UPDATES = ["full", "last", "norm_last", "bias", "tinytl", {"kind": "sparse", "biases": 2, "weights": {"6": 0.5}}, "automatic"]

SCENARIO = """
name: learns
model: {kind: checkpoint, path: FOLDER}
data: {kind: digits, train_examples: 60, test_examples: 40}
training: {batch_size: 4, local_steps: 2}
strategy: fedavg
fleet: [{count: 2, device: raspberry_pi_4, network: lte_driving}]
stop: {rounds: 1}
"""


def architecture() -> MobileArchitecture:
    blocks = (block(8, 16, expansion=3, kernel=3, stride=2), block(16, 16, expansion=3, kernel=5, stride=1))
    return MobileArchitecture(name="small", stem=Stem(out_channels=8, kernel=3, stride=1), blocks=blocks, feature_mix=24, classifier_in=24)


def network(*, lite_residual=False, unit=convolution_unit, classes=10, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return build_mobile_network(architecture(), SHAPE, classes, lite_residual=lite_residual, generator=generator, unit=unit)


@pytest.fixture
def folder(tmp_path):
    write_checkpoint(tmp_path / "net", network(), SHAPE)
    return tmp_path / "net"


def change(folder, **keys):
    plain = yaml.safe_load((folder / ARCHITECTURE).read_text())
    (folder / ARCHITECTURE).write_text(yaml.safe_dump(plain | keys))


def replace_values(folder, values):
    save_file(values, folder / VALUES)
    change(folder, values_sha256=hashlib.sha256((folder / VALUES).read_bytes()).hexdigest())


def read(folder):
    return read_values(folder, read_description(folder))


def scenario(tmp_path, folder, update="full", **overrides):
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO.replace("FOLDER", folder.name))
    return fedtiny.load_scenario(file, {"update": update, **overrides})


@pytest.mark.parametrize(("unit", "lite"), [(convolution_unit, False), (convolution_unit, True), (folded_unit, False)])
def test_a_network_comes_back_bit_by_bit(tmp_path, unit, lite):
    written = network(unit=unit, lite_residual=lite)
    write_checkpoint(tmp_path / "net", written, SHAPE)
    description = read_description(tmp_path / "net")
    back = description.network()
    back.load_state_dict(read(tmp_path / "net"))
    inputs = torch.randn((3, *SHAPE), generator=torch.Generator().manual_seed(2))
    assert torch.equal(written.eval()(inputs), back.eval()(inputs))
    assert (description.architecture, description.input, description.classes) == (architecture(), SHAPE, 10)


def test_a_checkpoint_that_is_there_is_replaced_and_nothing_else_is(folder):
    write_checkpoint(folder, network(seed=5), SHAPE)
    assert torch.equal(read(folder)["head.weight"], network(seed=5).head.weight)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="is there and is no checkpoint"):
        write_checkpoint(folder, network(), SHAPE)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["net"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("head.bias", None, r"1 tensors missing \['head.bias'\]"),
        ("more", torch.zeros(1), r"1 unknown \['more'\]"),
        ("head.bias", torch.zeros(11), r"head.bias is F32 \[11\], and F32 \[10\] is needed"),
        ("head.bias", torch.zeros(10, dtype=torch.float64), r"head.bias is F64 \[10\]"),
    ],
)
def test_tensors_that_the_architecture_does_not_have_are_refused(folder, name, value, message):
    values = load_file(folder / VALUES)
    values.pop(name, None)
    replace_values(folder, values | ({} if value is None else {name: value}))
    with pytest.raises(ModelError, match=message):
        read(folder)


def test_damaged_files_are_refused(folder):
    content = (folder / VALUES).read_bytes()
    (folder / VALUES).write_bytes(content[:-1] + b"\x01")
    with pytest.raises(ModelError, match="do not belong together"):
        read(folder)
    for damaged in (content[:4], struct.pack("<Q", 2**60) + content[8:], struct.pack("<Q", 2) + b"[]"):
        (folder / VALUES).write_bytes(damaged)
        change(folder, values_sha256=hashlib.sha256(damaged).hexdigest())
        with pytest.raises(ModelError, match=r"header is damaged"):
            read(folder)
    (folder / VALUES).write_bytes(content + bytes(2**21))
    with pytest.raises(ModelError, match="is larger than"):
        read(folder)
    (folder / VALUES).unlink()
    with pytest.raises(ModelError, match=r"cannot be read .No such file"):
        read(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "cannot be read as YAML"),
        ("a: &a [1]\nb: *a", "has references"),
        ("!!python/object/apply:os.getcwd []", "cannot be read as YAML"),
        ("kind: else", "is no architecture that FedTiny wrote"),
        ("- 1", "is no architecture that FedTiny wrote"),
    ],
)
def test_a_description_that_is_none_is_refused(folder, text, message):
    (folder / ARCHITECTURE).write_text(text)
    with pytest.raises(ModelError, match=message):
        read_description(folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("classifier_in", 16, "the head takes 16 features"),
        ("blocks", [], "there are 0 blocks"),
        ("stem", {"out_channels": 16, "kernel": 3, "stride": 1}, "block 0 takes 8 channels"),
        ("stem", {"out_channels": 8, "kernel": 4, "stride": 1}, "kernels are odd"),
        ("feature_mix", 2**19, "at most 16384 are allowed"),
    ],
)
def test_an_architecture_that_is_no_network_is_refused(folder, key, value, message):
    plain = json.loads(json.dumps(architecture().to_plain())) | {key: value}
    if key == "feature_mix":
        plain["classifier_in"] = value
    change(folder, architecture=plain)
    with pytest.raises(ModelError, match=message):
        read_description(folder)


@pytest.mark.parametrize("update", UPDATES)
def test_a_checkpoint_is_trained_with_every_update_scheme(tmp_path, folder, update):
    result = fedtiny.run(scenario(tmp_path, folder, update))
    assert result.rounds.num_rows == 2


def test_a_run_begins_with_the_values_of_the_checkpoint(tmp_path, folder):
    result = fedtiny.run(scenario(tmp_path, folder, "last", **{"stop.rounds": 0}))
    assert {name: value.tolist() for name, value in result.model.items()} == {name: value.tolist() for name, value in read(folder).items()}


def test_clients_do_not_hold_the_examples_that_a_checkpoint_was_made_from_whatever_their_own_seed(tmp_path, folder):
    loaded = scenario(tmp_path, folder, "last", **{"model.public": {"share": 0.3, "seed": 4}, "data.train_examples": None})
    whole = loaded.data.load(Streams(0))
    expected = np.sort(Streams(4).numpy("data", "public").permutation(len(whole.train_targets))[: round(0.3 * len(whole.train_targets))])
    for seed in (0, 4, 5):
        shares = shares_of(whole, loaded.model, Streams(seed))
        assert np.array_equal(shares.public, expected)
    held = np.concatenate([participant.batches.indices for participant in prepare(loaded).participants])
    assert sorted(held) == sorted(set(range(len(whole.train_targets))) - set(expected))


def test_the_resolved_scenario_names_the_content_of_the_checkpoint(tmp_path, folder):
    loaded = scenario(tmp_path, folder)
    assert loaded.model.sha256 == hashlib.sha256((folder / ARCHITECTURE).read_bytes()).hexdigest()
    write_checkpoint(folder, network(seed=5), SHAPE)
    with pytest.raises(ModelError, match="not the same checkpoint"):
        loaded.model.description()


def test_other_inputs_are_refused_unless_only_their_size_differs_and_any_is_allowed(folder):
    generator = torch.Generator().manual_seed(0)
    model = Checkpoint(path=str(folder))
    for shape in ((1, 16, 16), (3, 8, 8)):
        with pytest.raises(ModelError, match="image_size: 8, channels: 1"):
            model.build(shape, 10, lite_residual=False, generator=generator)
    Checkpoint(path=str(folder), any_size=True).build((1, 16, 16), 10, lite_residual=False, generator=generator)


def test_there_is_no_other_source_of_values_beside_a_checkpoint(tmp_path, folder):
    with pytest.raises(InputError, match="a checkpoint has its own values"):
        scenario(tmp_path, folder, **{"model.pretrained": str(folder / VALUES)})


def test_a_checkpoint_that_is_not_there_is_said_with_the_place_in_the_scenario(tmp_path, folder):
    with pytest.raises(InputError, match=r"model.path: there is no file .*nowhere/architecture.yaml"):
        scenario(tmp_path, folder, model={"kind": "checkpoint", "path": "nowhere"})
