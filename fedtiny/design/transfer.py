"""Transfer: what a network takes over from values that were learnt elsewhere, and what of it is new.

TinyTL adapts a pre-trained backbone to the classes of a new task (Cai, Gan, Zhu, Han: TinyTL, NeurIPS 2020, arXiv 2007.11622,
section 4.1): the head is made anew where the classes are others, and lite residual modules that the values do not know are new
too, adding exactly nothing at first. Everything else must be there, with the same shape. What is new keeps the network's own
random initial values.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fedtiny.errors import ModelError
from fedtiny.models.base import IMAGENET
from fedtiny.models.imagenet_weights import PACKAGE, imagenet_values
from fedtiny.models.summary import ModelSummary, Section


def transfer(network: nn.Module, summary: ModelSummary, source: str) -> tuple[str, ...]:
    """Fills a network in place from a .safetensors file or, where `source` is imagenet, from ImageNet; returns sentences on what is new.

    Of ImageNet's values the head is never taken: its thousand classes are nobody's here. Raises ModelError where the values are not
    there or do not fit.
    """
    if source != IMAGENET:
        return adopt(network, summary, read_checkpoint(Path(source)), source)
    head = tensors_of(summary, "head")
    values = {name: value for name, value in imagenet_values().items() if name not in head}
    return (f"The network has weights from ImageNet (package {PACKAGE}).", *adopt(network, summary, values, IMAGENET))


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file by name. Raises ModelError where it cannot be read."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} cannot be read as safetensors ({error}): write one with `fedtiny pretrain SCENARIO --out FILE`"
        ) from error


def adopt(network: nn.Module, summary: ModelSummary, values: Mapping[str, Tensor], source: str) -> tuple[str, ...]:
    """Fills a network in place with all values but those of what is new; returns a sentence on each part that is new.

    Raises ModelError, and changes nothing, where anything else is missing, unknown or of another shape.
    """
    own = network.state_dict()
    head, lite = tensors_of(summary, "head"), tensors_of(summary, "lite_residual")
    new_head = _has_other_classes(own, values, head)
    new_lite = bool(lite) and not lite & values.keys()
    new = (head if new_head else frozenset()) | (lite if new_lite else frozenset())
    fill(own, {name: value for name, value in values.items() if name not in new}, own.keys() - new, source)
    notes = [f"The head is new: that of {source} is for other classes."] if new_head else []
    return (*notes, f"The lite residual modules are new: {source} has none.") if new_lite else (*notes,)


def fill(own: Mapping[str, Tensor], values: Mapping[str, Tensor], expected: frozenset[str] | set[str], source: str) -> None:
    """Copies values into the expected ones of a network's own tensors; `source` names the values in errors.

    Raises ModelError, and copies nothing, where names or shapes differ.
    """
    both = expected & values.keys()
    wrong = (expected | values.keys()) - {name for name in both if own[name].shape == values[name].shape}
    if wrong:
        raise ModelError(
            f"{source} does not fit the network: {len(wrong)} tensors differ, among them {sorted(wrong)[:3]}; "
            "the values must come from the same model and input size; other classes make a new head, and lite residual modules that "
            "they lack are new, but those that they have are needed (lite_residual: true)"
        )
    with torch.no_grad():
        for name, value in values.items():
            own[name].copy_(value)


def tensors_of(summary: ModelSummary, section: Section) -> frozenset[str]:
    """The names of the parameters in a section of the network."""
    return frozenset(parameter.name for layer in summary.layers if layer.section == section for parameter in layer.parameters)


def _has_other_classes(own: Mapping[str, Tensor], values: Mapping[str, Tensor], head: frozenset[str]) -> bool:
    """Whether the head must be new: the values have none, or one that differs in the number of classes and in nothing else."""
    if not head & values.keys():
        return bool(head)
    if not head <= values.keys() or any(own[name].shape[1:] != values[name].shape[1:] for name in head):
        return False
    return any(own[name].shape != values[name].shape for name in head)


@contextmanager
def put_back(network: nn.Module, names: frozenset[str]) -> Iterator[None]:
    """When the context ends, these parameters of the network are again what they were when it began."""
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters() if name in names}
    yield
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in before:
                parameter.copy_(before[name])
