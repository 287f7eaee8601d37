"""A mobile network as a folder: what it is made of in YAML, and its values in safetensors.

    FOLDER/architecture.yaml      format, input, classes, normalization, lite_residual, the architecture, the SHA-256 of the values
    FOLDER/model.safetensors      every tensor of the network by name, float32

A folder is written whole or not at all, and read with suspicion: nothing in it is code, sizes are bounded before anything is made of them,
and names, shapes and types must be exactly those of the network that the architecture describes. The SHA-256 of architecture.yaml stands
for both files.
"""

import hashlib
import json
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import torch
import yaml
from pydantic import Field, Strict, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from fedtiny.errors import ModelError
from fedtiny.models.folding import is_folded
from fedtiny.models.inverted_bottleneck import convolution_unit, folded_unit
from fedtiny.models.mobile_architecture import BlockShape, MobileArchitecture
from fedtiny.models.mobile_network import MobileNetwork
from fedtiny.parts import Part

ARCHITECTURE: Final = "architecture.yaml"
VALUES: Final = "model.safetensors"
FORMAT: Final = "fedtiny checkpoint 1"
_MOST_DESCRIPTION: Final = 2**18
_MOST_BLOCKS: Final = 256
_MOST_CHANNELS: Final = 2**14
_MOST_KERNEL: Final = 31
_MOST_PARAMETERS: Final = 2**28

Positive = Annotated[int, Field(gt=0, le=2**20)]


class CheckpointDescription(Part):
    """What architecture.yaml says."""

    format: Literal["fedtiny checkpoint 1"] = FORMAT
    input: Annotated[tuple[Positive, Positive, Positive], Strict(False)]
    """Channels, height and width of the inputs that it was made for."""
    classes: Positive
    """Classes that its head tells apart."""
    normalization: Literal["group", "folded"]
    """Weight standardisation and group norm, or convolutions with bias and nothing else."""
    lite_residual: bool
    """Whether it has lite residual modules."""
    values_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """The SHA-256 of model.safetensors."""
    architecture: MobileArchitecture
    """Stem, blocks, feature mix and head."""

    @model_validator(mode="after")
    def _is_a_network(self) -> Self:
        problems = list(_inconsistencies(self.architecture))
        if self.normalization == "folded" and self.lite_residual:
            problems.append("a folded network has no lite residual modules")
        if problems:
            raise ValueError(problems[0])
        return self

    def network(self, classes: int | None = None, *, lite_residual: bool | None = None) -> MobileNetwork:
        """The network without values, with as many classes and lite residual modules as it had, or as are asked for."""
        unit = folded_unit if self.normalization == "folded" else convolution_unit
        lite = self.lite_residual if lite_residual is None else lite_residual
        return MobileNetwork(self.architecture, self.input[0], classes or self.classes, lite_residual=lite, unit=unit)


def _inconsistencies(architecture: MobileArchitecture) -> Iterator[str]:
    """What keeps an architecture from being a network of reasonable size, in sentences."""
    stem, blocks = architecture.stem, architecture.blocks
    if not 1 <= len(blocks) <= _MOST_BLOCKS:
        yield f"there are {len(blocks)} blocks, and 1 to {_MOST_BLOCKS} are allowed"
        return
    incoming = stem.out_channels
    for place, block in enumerate(blocks):
        yield from _block_inconsistencies(place, block, incoming)
        incoming = block.out_channels
    features = architecture.feature_mix or incoming
    if architecture.classifier_in != features:
        yield f"the head takes {architecture.classifier_in} features, but what comes before it gives {features}"
    most = max(stem.out_channels, architecture.classifier_in, *(max(block.mid_channels, block.out_channels) for block in blocks))
    if most > _MOST_CHANNELS:
        yield f"a layer has {most} channels, and at most {_MOST_CHANNELS} are allowed"
    kernels = {stem.kernel, *(block.kernel for block in blocks)}
    if max(kernels) > _MOST_KERNEL or any(kernel % 2 == 0 for kernel in kernels):
        yield f"kernels are odd and at most {_MOST_KERNEL}, found {sorted(kernels)}"


def _block_inconsistencies(place: int, block: BlockShape, incoming: int) -> Iterator[str]:
    if block.in_channels != incoming:
        yield f"block {place} takes {block.in_channels} channels, but what comes before it gives {incoming}"
    if not block.has_expand and block.mid_channels != block.in_channels:
        yield f"block {place} has no expansion, but {block.mid_channels} channels inside and {block.in_channels} before it"
    if block.residual and (block.stride != 1 or block.in_channels != block.out_channels):
        yield f"block {place} has a shortcut, but its output is not of its input's shape"


def write_checkpoint(folder: Path, network: MobileNetwork, input_shape: tuple[int, int, int]) -> CheckpointDescription:
    """Writes a network with its values, for inputs (channels, height, width), whole or not at all; a checkpoint that is there is replaced.

    Raises ModelError where the folder holds something else, or cannot be written.
    """
    if folder.exists() and not _replaceable(folder):
        raise ModelError(f"{folder} is there and is no checkpoint: name another folder, or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            description = _write(made / "new", network, input_shape)
            if folder.exists():
                folder.rename(made / "old")
            (made / "new").rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise ModelError(f"the checkpoint {folder} cannot be written: {error.strerror or error}") from error
    return description


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {ARCHITECTURE, VALUES}


def _write(folder: Path, network: MobileNetwork, input_shape: tuple[int, int, int]) -> CheckpointDescription:
    folder.mkdir()
    values = {name: value.detach().to("cpu", torch.float32).contiguous().clone() for name, value in network.state_dict().items()}
    save_file(values, folder / VALUES)
    description = CheckpointDescription(
        input=input_shape,
        classes=network.classes,
        normalization="folded" if is_folded(network) else "group",
        lite_residual=network.lite_residual,
        values_sha256=hashlib.sha256((folder / VALUES).read_bytes()).hexdigest(),
        architecture=network.architecture,
    )
    text = yaml.safe_dump(description.to_plain(), sort_keys=False, width=140, default_flow_style=None)
    (folder / ARCHITECTURE).write_text(text, encoding="utf-8")
    return description


def read_description(folder: Path, sha256: str | None = None) -> CheckpointDescription:
    """What a checkpoint's architecture.yaml says.

    Raises ModelError where it is not there, is not one, describes no network, or its SHA-256 is another than the one given.
    """
    file = folder / ARCHITECTURE
    found = _content(file, _MOST_DESCRIPTION)
    if sha256 is not None and (digest := hashlib.sha256(found).hexdigest()) != sha256:
        raise ModelError(f"{file} has SHA-256 {digest}, but the scenario says {sha256}: it is not the same checkpoint")
    try:
        return CheckpointDescription.model_validate(_plain(found, file))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ModelError(f"{file} is no architecture that FedTiny wrote: {f'{place}: ' if place else ''}{first['msg']}") from error


def read_values(folder: Path, description: CheckpointDescription) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name.

    Raises ModelError where the file is not there, is not the one that the description is of, or does not hold exactly the tensors of the
    network described, in float32. Its size is bounded by that of the network before it is read.
    """
    own = _expected(description)
    bytes_of_values = sum(4 * _elements(shape) for shape in own.values())
    found = _content(folder / VALUES, bytes_of_values + 2**20)
    if (digest := hashlib.sha256(found).hexdigest()) != description.values_sha256:
        raise ModelError(
            f"{folder / VALUES} has SHA-256 {digest}, but {ARCHITECTURE} beside it is about {description.values_sha256}: the files do not "
            "belong together, or one of them is damaged: write the checkpoint again"
        )
    _check_header(found, own, folder / VALUES)
    try:
        return load(found)
    except SafetensorError as error:
        raise ModelError(f"{folder / VALUES} cannot be read as safetensors: {error}") from error


def checkpoint_digest(folder: Path) -> str:
    """The SHA-256 of a checkpoint's architecture.yaml, which states that of its values. Raises ModelError where it is not there."""
    return hashlib.sha256(_content(folder / ARCHITECTURE, _MOST_DESCRIPTION)).hexdigest()


def _expected(description: CheckpointDescription) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        own = {name: tuple(value.shape) for name, value in description.network().state_dict().items()}
    if sum(_elements(shape) for shape in own.values()) > _MOST_PARAMETERS:
        raise ModelError(f"the architecture has more than {_MOST_PARAMETERS:,} parameters: that is no tiny network")
    return own


def _elements(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


def _check_header(content: bytes, own: dict[str, tuple[int, ...]], file: Path) -> None:
    """Compares names, shapes and types with those of the network, before any tensor is made."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header: dict[str, Any] = json.loads(content[8 : 8 + length])
        held = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in header.items() if name != "__metadata__"}
    except (struct.error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{file} cannot be read as safetensors: its header is damaged: write the checkpoint again") from error
    missing, unknown = sorted(own.keys() - held.keys()), sorted(held.keys() - own.keys())
    if missing or unknown:
        raise ModelError(
            f"{file} does not fit its architecture: {len(missing)} tensors missing {missing[:3]}, {len(unknown)} unknown {unknown[:3]}"
        )
    for name, shape in own.items():
        if held[name] != ("F32", shape):
            dtype, found = held[name]
            raise ModelError(f"{file} does not fit its architecture: {name} is {dtype} {list(found)}, and F32 {list(shape)} is needed")


def _content(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as opened:
            found = opened.read(most + 1)
    except OSError as error:
        raise ModelError(
            f"{file} cannot be read ({error.strerror or error}): a checkpoint is a folder with {ARCHITECTURE} and {VALUES}, as "
            "`fedtiny design SCENARIO --output FOLDER` writes it into FOLDER/checkpoint"
        ) from error
    if len(found) > most:
        raise ModelError(f"{file} is larger than {most:,} bytes, which is more than its network can have: it was not written by FedTiny")
    return found


def _plain(content: bytes, file: Path) -> Any:
    """The YAML as plain values; one that repeats itself by reference is refused, since a short one could be endlessly large."""
    try:
        if any(isinstance(event, yaml.events.AliasEvent) for event in yaml.parse(content, Loader=yaml.SafeLoader)):
            raise ModelError(f"{file} has references (*name), which FedTiny never writes")
        return yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read as YAML: {error}") from error
