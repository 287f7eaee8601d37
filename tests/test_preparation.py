"""What exists before time 0: network, shares of the data, memory, initial values; and what ends a run before it starts."""

import numpy as np
import pytest
import torch
from torch import nn

from fedtiny.blueprint import blueprint
from fedtiny.design import pretraining
from fedtiny.errors import InfeasibleError, ModelError, ScenarioError
from fedtiny.models.given_network import given_network
from fedtiny.participation import memory_needs
from fedtiny.preparation import check, prepare
from fedtiny.scenario.schema import Scenario


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("FEDTINY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def group(count=1, memory="1 GB"):
    return {
        "count": count,
        "device": {"kind": "custom", "memory": memory, "step_time": "1 s"},
        "network": {"kind": "custom", "latency": "1 s"},
    }


def scenario(**changes):
    return Scenario.model_validate(
        {
            "name": "preparation",
            "model": {"kind": "linear"},
            "data": {"kind": "synthetic", "classes": 3, "examples": 60, "test_examples": 20, "image_size": 4},
            "training": {"local_steps": 2, "batch_size": 8},
            "strategy": {"kind": "fedavg"},
            "fleet": [group(3)],
            "stop": {"rounds": 1},
            **changes,
        }
    )


def values(world):
    return {name: value.numpy().copy() for name, value in world.blueprint.network.state_dict().items()}


def equal(first, second):
    return all(np.array_equal(value, second[name]) for name, value in first.items())


# --- network and data -----------------------------------------------------------------------------------------------


def test_a_blueprint_needs_no_data():
    plans = blueprint(scenario())
    assert (plans.summary.input_shape, plans.summary.classes, plans.plan.trainable) == ((1, 4, 4), 3, ("head.weight", "head.bias"))
    assert len(plans.fleet) == 3


def test_initial_values_depend_on_the_seed_and_on_nothing_else():
    torch.manual_seed(1)
    first = values(prepare(scenario()))
    torch.manual_seed(2)
    changed = scenario(strategy={"kind": "dga", "delay": 2}, fleet=[group(5)], update={"kind": "last"}, training={"local_steps": 7})
    assert equal(values(prepare(changed)), first)
    assert not equal(values(prepare(scenario(seed=1))), first)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("float64", torch.float64)])
def test_everything_is_in_the_precision_of_the_scenario(precision, dtype):
    world = prepare(scenario(training={"precision": precision}))
    assert {world.flat.weights.dtype, world.flat.gradients.dtype, world.train.inputs.dtype, world.test.inputs.dtype} == {dtype}
    assert world.train.targets.dtype == torch.int64


def test_only_what_the_update_trains_is_in_the_vector():
    world = prepare(scenario(model={"kind": "small_cnn"}, update={"kind": "bias"}))
    assert tuple(tensor.name for tensor in world.flat.layout.tensors) == world.blueprint.plan.trainable
    assert world.flat.read().size == world.blueprint.plan.trainable_elements(world.blueprint.summary)
    assert [name for name, parameter in world.flat.network.named_parameters() if parameter.requires_grad] == list(
        world.blueprint.plan.trainable
    )


def test_every_training_example_belongs_to_one_device():
    parts = [participant.batches.indices for participant in prepare(scenario()).participants]
    assert sorted(np.concatenate(parts)) == list(range(60))


def test_devices_draw_their_batches_from_streams_of_their_own():
    world = prepare(scenario(fleet=[group(2), group(1)]))
    assert [participant.batches.path for participant in world.participants] == [
        ("group", 0, "device", 0),
        ("group", 0, "device", 1),
        ("group", 1, "device", 0),
    ]


def test_all_the_data_is_the_batch_where_the_scenario_says_so():
    data = {**scenario().data.to_plain(), "partition": {"kind": "sizes", "sizes": [10, 20, 30]}}
    world = prepare(scenario(data=data, training={"batch_size": "all"}))
    assert [participant.batches.batch_size for participant in world.participants] == [10, 20, 30]
    ledgers = [participant.ledger.total_bytes for participant in world.participants]
    assert ledgers == sorted(set(ledgers))


# --- own code -------------------------------------------------------------------------------------------------------


def test_own_code_runs_only_if_it_is_allowed(tmp_path):
    code = tmp_path / "net.py"
    code.write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self, input_shape, classes):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(16, classes))\n"
    )
    wanted = scenario(model={"kind": "python", "path": str(code), "name": "Net"})
    with pytest.raises(ScenarioError, match="--allow-code") as caught:
        prepare(wanted)
    assert caught.value.path == ("model",)
    with pytest.raises(ScenarioError, match="--allow-code"):
        check(wanted)
    assert tuple(tensor.name for tensor in prepare(wanted, allow_code=True).flat.layout.tensors) == ("1.weight", "1.bias")


def test_a_target_accuracy_needs_classes(curve):
    numbers = curve().load({"kind": "fedavg"}, local_steps=1, rounds=1, stop={"target_accuracy": 0.5})
    with pytest.raises(ScenarioError, match="are numbers and not classes") as caught:
        prepare(numbers, allow_code=True)
    assert caught.value.path == ("stop", "target_accuracy")


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "vectors"),
    [
        ({"kind": "fedavg"}, 0),
        ({"kind": "dga", "delay": 0}, 1),
        ({"kind": "dga", "delay": 1}, 2),
        ({"kind": "dga", "delay": 7}, 5),
        ({"kind": "dga", "delay": 6, "send": "early"}, 4),
    ],
)
@pytest.mark.parametrize(("precision", "element_bytes"), [("float32", 4), ("float64", 8)])
def test_a_device_pays_for_the_vectors_its_strategy_keeps(strategy, vectors, precision, element_bytes):
    training = {"local_steps": 2, "precision": precision}
    plain, charged = (prepare(scenario(strategy=kind, training=training)) for kind in ({"kind": "fedavg"}, strategy))
    extra = charged.participants[0].ledger.total_bytes - plain.participants[0].ledger.total_bytes
    assert extra == vectors * element_bytes * (16 * 3 + 3)


def test_memory_is_compared_byte_by_byte():
    needed = prepare(scenario()).participants[0].ledger.total_bytes
    assert prepare(scenario(device={"memory": f"{needed} B"})).participants[0].fits
    with pytest.raises(InfeasibleError):
        prepare(scenario(device={"memory": f"{needed - 1} B"}))


def test_what_does_not_fit_says_how_much_is_missing_where_and_what_to_do():
    with pytest.raises(InfeasibleError) as caught:
        prepare(scenario(fleet=[group(1), group(2, memory="300 B")]))
    text = str(caught.value)
    assert caught.value.path == ("fleet", 1)
    for part in ("but custom offers 300 B", "lower training.batch_size", "on_out_of_memory: exclude"):
        assert part in text


@pytest.mark.parametrize("choice", ["fail", "exclude"])
def test_what_fits_nobody_is_refused_in_any_case(choice):
    with pytest.raises(InfeasibleError, match="no device of the fleet has enough") as caught:
        prepare(scenario(fleet=[group(2, memory="300 B")], on_out_of_memory=choice))
    assert "exclude" not in str(caught.value)


def test_devices_that_do_not_fit_are_left_out_if_the_scenario_says_so():
    world = prepare(scenario(fleet=[group(1), group(2, memory="300 B")], on_out_of_memory="exclude"))
    assert [participant.traits.number for participant in world.included] == [0]
    assert len(world.participants) == 3


def test_memory_needs_are_those_of_the_most_demanding_device_of_each_entry():
    data = {**scenario().data.to_plain(), "partition": {"kind": "sizes", "sizes": [10, 30, 20]}}
    world = prepare(scenario(data=data, training={"batch_size": "all"}, fleet=[group(2), group(1, memory="1 MB")]))
    first, second = memory_needs(world.participants)
    ledgers = [participant.ledger for participant in world.participants]
    assert (first["total_bytes"], second["total_bytes"]) == (ledgers[1].total_bytes, ledgers[2].total_bytes)
    assert (second["budget"], second["scheme"], second["fits"], sum(second["items"].values())) == (
        1_000_000,
        "full",
        True,
        second["total_bytes"],
    )


# --- checking without running ---------------------------------------------------------------------------------------


def test_checking_finds_what_preparing_finds():
    assert check(scenario()).warnings == []
    for batch_size in (8, "all"):
        with pytest.raises(InfeasibleError):
            check(scenario(fleet=[group(1, memory="300 B")], training={"batch_size": batch_size}))


def test_checking_warns_of_devices_that_are_left_out():
    (warning,) = check(scenario(fleet=[group(1), group(2, memory="300 B")], on_out_of_memory="exclude")).warnings
    assert "2 of 3 devices" in warning


def test_checking_warns_of_a_frozen_network_that_knows_nothing():
    (warning,) = check(scenario(model={"kind": "small_cnn"}, update={"kind": "last"})).warnings
    assert "model.pretrained" in warning
    assert check(scenario(model={"kind": "small_cnn", "pretrained": {"steps": 10}}, update={"kind": "last"})).warnings == []
    assert check(scenario(model={"kind": "small_cnn"})).warnings == []


# --- pre-training ---------------------------------------------------------------------------------------------------


PRETRAINED = {"kind": "linear", "pretrained": {"steps": 5, "share": 0.25}}


def test_the_public_share_belongs_to_no_device():
    world = prepare(scenario(model=PRETRAINED))
    parts = np.concatenate([participant.batches.indices for participant in world.participants])
    assert len(parts) == len(set(parts)) == 45


def test_pretraining_changes_the_initial_values_and_is_repeated_from_the_cache(cache):
    told = []
    plain = values(prepare(scenario()))
    first = values(prepare(scenario(model=PRETRAINED), progress=lambda done, total: told.append((done, total))))
    again = values(prepare(scenario(model=PRETRAINED), progress=lambda *_: pytest.fail("trained again")))
    assert told == [(number, 5) for number in range(1, 6)]
    assert equal(first, again)
    assert not equal(first, plain)
    assert len(list(cache.rglob("*.safetensors"))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"model": {**PRETRAINED, "pretrained": {"steps": 6, "share": 0.25}}},
        {"training": {"precision": "float64"}},
        {"data": {"kind": "synthetic", "classes": 3, "examples": 60, "test_examples": 20, "image_size": 4, "noise": 0.5}},
    ],
)
def test_another_scenario_is_pretrained_anew(cache, changes):
    prepare(scenario(model=PRETRAINED))
    prepare(scenario(**{"model": PRETRAINED, **changes}))
    assert len(list(cache.rglob("*.safetensors"))) == 2


def test_another_seed_is_pretrained_anew_on_the_same_data(tmp_path, cache):
    generator = np.random.default_rng(0)
    arrays = {"x_train": generator.normal(size=(40, 1, 4, 4)), "y_train": np.arange(40) % 3}
    np.savez(tmp_path / "data.npz", x_test=arrays["x_train"], y_test=arrays["y_train"], **arrays)
    data = {"kind": "npz", "path": str(tmp_path / "data.npz")}
    first, second = (values(prepare(scenario(model=PRETRAINED, data=data, seed=seed))) for seed in (1, 2))
    assert not equal(first, second)
    assert len(list(cache.rglob("*.safetensors"))) == 2


def test_pretrained_values_can_come_from_a_file(tmp_path):
    source = prepare(scenario(model=PRETRAINED))
    pretraining.save_values(source.blueprint.network, tmp_path / "start.safetensors")
    world = prepare(scenario(model={"kind": "linear", "pretrained": str(tmp_path / "start.safetensors")}))
    assert equal(values(world), values(source))
    assert sum(len(participant.batches.indices) for participant in world.participants) == 60
    with pytest.raises(ModelError, match="does not fit the network"):
        prepare(scenario(model={"kind": "small_cnn", "pretrained": str(tmp_path / "start.safetensors")}))


def test_a_convolutional_network_refuses_examples_that_are_no_images(tmp_path):
    inputs, targets = np.zeros((40, 8, 8)), np.arange(40) % 3
    np.savez(tmp_path / "data.npz", x_train=inputs, y_train=targets, x_test=inputs, y_test=targets)
    data = {"kind": "npz", "path": str(tmp_path / "data.npz")}
    with pytest.raises(ScenarioError, match=r"small_cnn needs images.*four axes"):
        blueprint(scenario(model={"kind": "small_cnn"}, data=data))
    assert blueprint(scenario(data=data)).summary.input_shape == (1, 8, 8)


class Dropping(nn.Sequential):
    """A network of one's own that draws random numbers while it trains."""

    def __init__(self, input_shape, classes):
        super().__init__(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, classes))


def test_own_code_is_pretrained_alike_every_time_and_without_the_cache(cache):
    model = given_network(Dropping).model_copy(update={"pretrained": scenario(model=PRETRAINED).model.pretrained})
    torch.manual_seed(1)
    first = values(prepare(scenario(model=model)))
    torch.manual_seed(2)
    told = []
    assert equal(values(prepare(scenario(model=model), progress=lambda done, total: told.append(done))), first)
    assert told == [1, 2, 3, 4, 5]
    assert list(cache.rglob("*.safetensors")) == []


def test_frozen_weights_can_be_kept_in_codebooks():
    wanted = {"model": {"kind": "small_cnn"}, "update": {"kind": "last"}}
    plain, compressed = (prepare(scenario(**wanted, training={"frozen_weights": kept})) for kept in ("float", "codebook"))
    values = [dict(world.flat.network.named_parameters()) for world in (plain, compressed)]
    distinct = [value["convolution_2.weight"].unique().numel() for value in values]
    assert distinct == [16 * 8 * 9, 256]
    assert torch.equal(values[0]["head.weight"], values[1]["head.weight"])
    assert not plain.notes
    assert compressed.notes == ("The weights of 2 layers that nobody trains are kept in codebooks of 256 values.",)
