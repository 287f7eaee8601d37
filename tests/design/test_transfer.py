from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fedtiny.design.transfer import put_back, read_checkpoint, tensors_of, transfer
from fedtiny.errors import ModelError
from fedtiny.models.measure import summarize
from fedtiny.models.mobilenet_v2 import MobileNetV2
from fedtiny.models.small_cnn import SmallCnn
from fedtiny.models.summary import ModelSummary

SHAPE = (1, 16, 16)


def mobile(classes: int, *, lite_residual: bool, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    return MobileNetV2(width=0.35).build(SHAPE, classes, lite_residual=lite_residual, generator=generator)


def summary_of(network: nn.Module, classes: int) -> ModelSummary:
    return summarize(network, "network", SHAPE, classes)


def values_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def written(network: nn.Module, folder: Path, **changes: torch.Tensor | None) -> str:
    """A checkpoint of a network, with tensors changed or, where they are None, left out."""
    values = {name: value for name, value in {**values_of(network), **changes}.items() if value is not None}
    save_file(values, folder / "start.safetensors")
    return str(folder / "start.safetensors")


def images() -> torch.Tensor:
    return torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(9))


def test_equal_networks_take_over_everything_and_nothing_is_new(tmp_path):
    source, target = mobile(5, lite_residual=True, seed=1), mobile(5, lite_residual=True, seed=2)
    assert transfer(target, summary_of(target, 5), written(source, tmp_path)) == ()
    assert torch.equal(target(images()), source(images()))


def test_a_checkpoint_of_five_classes_is_adapted_to_ten_with_a_new_head_and_nothing_else_new(tmp_path):
    source, target = mobile(5, lite_residual=True, seed=1), mobile(10, lite_residual=True, seed=2)
    before = values_of(target)
    path = written(source, tmp_path)
    assert transfer(target, summary_of(target, 10), path) == (f"The head is new: that of {path} is for other classes.",)
    for name, value in target.state_dict().items():
        assert torch.equal(value, before[name] if name.startswith("head.") else source.state_dict()[name]), name
    assert target(images()).shape == (3, 10)


def test_lite_residual_modules_that_the_checkpoint_lacks_are_new_and_add_exactly_nothing(tmp_path):
    source, target = mobile(5, lite_residual=False, seed=1), mobile(5, lite_residual=True, seed=2)
    path = written(source, tmp_path)
    assert transfer(target, summary_of(target, 5), path) == (f"The lite residual modules are new: {path} has none.",)
    assert torch.equal(target(images()), source(images()))


def test_both_can_be_new_at_once(tmp_path):
    source, target = mobile(5, lite_residual=False, seed=1), mobile(6, lite_residual=True, seed=2)
    assert len(transfer(target, summary_of(target, 6), written(source, tmp_path))) == 2


def test_lite_residual_modules_that_the_checkpoint_has_are_not_dropped_silently(tmp_path):
    source, target = mobile(5, lite_residual=True, seed=1), mobile(5, lite_residual=False, seed=2)
    with pytest.raises(ModelError, match=r"does not fit the network.*lite_residual: true"):
        transfer(target, summary_of(target, 5), written(source, tmp_path))


@pytest.mark.parametrize(
    "changes",
    [
        {"blocks.1.lite_residual.final_norm.weight": None},
        {"head.bias": None},
        {"stem.norm.weight": None},
        {"stem.norm.weight": torch.ones(3)},
        {"head.weight": torch.ones(5, 7)},
        {"unknown": torch.ones(1)},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_anything_else_that_differs_is_an_error_and_changes_nothing(tmp_path, changes):
    source, target = mobile(5, lite_residual=True, seed=1), mobile(5, lite_residual=True, seed=2)
    before = values_of(target)
    with pytest.raises(ModelError, match=rf"does not fit the network: \d tensors differ.*{next(iter(changes))}"):
        transfer(target, summary_of(target, 5), written(source, tmp_path, **changes))
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_a_head_for_other_features_is_an_error_and_not_a_new_head(tmp_path):
    source = SmallCnn().build((1, 8, 8), 5, lite_residual=False, generator=torch.Generator().manual_seed(1))
    target = SmallCnn().build(SHAPE, 6, lite_residual=False, generator=torch.Generator().manual_seed(2))
    with pytest.raises(ModelError, match=r"1 tensors differ, among them \['head.weight'\]|2 tensors differ"):
        transfer(target, summary_of(target, 6), written(source, tmp_path))


def test_a_file_that_is_no_checkpoint_is_told(tmp_path):
    (tmp_path / "start.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        read_checkpoint(tmp_path / "start.safetensors")
    with pytest.raises(ModelError, match="fedtiny pretrain SCENARIO --out FILE"):
        read_checkpoint(tmp_path / "missing.safetensors")


def test_what_is_put_back_is_bit_identical_and_the_rest_stays_changed():
    network = mobile(5, lite_residual=False, seed=1)
    before = values_of(network)
    with put_back(network, tensors_of(summary_of(network, 5), "head")), torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert {name for name, value in network.state_dict().items() if torch.equal(value, before[name])} == {"head.weight", "head.bias"}
