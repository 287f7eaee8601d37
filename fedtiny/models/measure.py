"""Measures a network by running it once: its layers, in the order of their calls, as facts without tensors.

One sample of zeros goes forward, in evaluation mode so that nothing is drawn. Layers are priced as in TinyTL's memory
model (arXiv 2007.11622): a layer inside a block with a shortcut knows the elements of that block's input. Only our own
inverted bottlenecks and temporal blocks are recognised as such; the shortcuts of a user's own network are not.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parameter import UninitializedParameter

from fedtiny.errors import ModelError
from fedtiny.models.forward_pass import ForwardPass
from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts

_RUNNING_STATISTICS = ("running_mean", "running_var")


def summarize(
    network: nn.Module, name: str, input_shape: tuple[int, int, int], classes: int, *, running_statistics: bool = False
) -> ModelSummary:
    """The facts about a network for inputs (channels, height, width); the network is left as it was.

    Parameters that the pass never met (used only in the network's own loss, say) are listed in layers at the end. `running_statistics`
    takes networks that keep them, too: no federation can average those, but what a step of them takes can be said.

    Raises ModelError where the network has nothing to train, keeps running statistics, cannot take such an input, or
    does not return logits (batch, classes); one that defines its own loss may return anything.
    """
    _check_parameters(network, name)
    if not running_statistics:
        _check_statistics(network, name)
    watched, output = _run(network, name, input_shape)
    if not defines_loss(network) and not (isinstance(output, Tensor) and output.shape == (1, classes)):
        found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(f"network {name} must return logits (batch, {classes}), but for one sample it returns {found}")
    layers = _with_upstream(watched) + _unmet(network, watched.layers)
    return ModelSummary(name, input_shape, classes, tuple(_with_head(layers)))


def defines_loss(network: nn.Module) -> bool:
    """Whether the network brings its own `loss(inputs, targets)`."""
    return callable(getattr(network, "loss", None))


def _check_parameters(network: nn.Module, name: str) -> None:
    parameters = dict(network.named_parameters())
    if not parameters:
        raise ModelError(f"network {name} has no parameters: there is nothing to train")
    for parameter_name, parameter in parameters.items():
        if isinstance(parameter, UninitializedParameter):
            raise ModelError(f"parameter {parameter_name} of network {name} has no size yet: use layers with explicit sizes, not lazy ones")
        if not parameter.is_floating_point():
            raise ModelError(f"parameter {parameter_name} of network {name} is {parameter.dtype}: parameters must be floating point")


def _check_statistics(network: nn.Module, name: str) -> None:
    for buffer_name, buffer in network.named_buffers():
        if buffer_name.rpartition(".")[2] in _RUNNING_STATISTICS and buffer.is_floating_point():
            module = type(network.get_submodule(buffer_name.rpartition(".")[0])).__name__
            raise ModelError(
                f"network {name} keeps running statistics ({buffer_name}, {module}), which clients cannot average: "
                "use torch.nn.GroupNorm, or track_running_stats=False"
            )


def _run(network: nn.Module, name: str, input_shape: tuple[int, int, int]) -> tuple[ForwardPass, object]:
    sample = torch.zeros((1, *input_shape), dtype=next(network.parameters()).dtype)
    problem: Exception = NotImplementedError("it defines neither forward(inputs) nor loss(inputs, targets)")
    for run in _possible_runs(network, sample):
        watched = ForwardPass(network)
        try:
            with _everything_trainable(network), watched.watching(), sdpa_kernel(SDPBackend.MATH):
                return watched, run()
        except Exception as error:  # noqa: BLE001  a user's own network may raise anything
            problem = error
    raise ModelError(f"network {name} cannot take an input of shape {(1, *input_shape)}: {type(problem).__name__}: {problem}") from problem


def _possible_runs(network: nn.Module, sample: Tensor) -> list[Callable[[], object]]:
    """The forward pass; for a network that has only a loss, that loss, with a class as the target or else a number."""
    if type(network).forward is not nn.Module.forward:
        return [lambda: network(sample)]
    if not defines_loss(network):
        return []
    loss: Callable[[Tensor, Tensor], object] = cast(Any, network).loss
    return [lambda: loss(sample, torch.zeros(1, dtype=torch.int64)), lambda: loss(sample, torch.zeros(1, dtype=sample.dtype))]


@contextmanager
def _everything_trainable(network: nn.Module) -> Iterator[None]:
    """Evaluation mode and gradients everywhere, so that autograd's graph is whole; put back afterwards."""
    modes = {module: module.training for module in network.modules()}
    flags = {parameter: parameter.requires_grad for parameter in network.parameters()}
    try:
        network.eval().requires_grad_()
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)


def _with_upstream(watched: ForwardPass) -> list[LayerFacts]:
    own = [sum(watched.dependence.bit(watched.parameters[parameter.name]) for parameter in layer.parameters) for layer in watched.layers]
    return [
        replace(layer, upstream=tuple(earlier for earlier in range(index) if own[earlier] & behind))
        for index, (layer, behind) in enumerate(zip(watched.layers, watched.behind, strict=True))
    ]


def _unmet(network: nn.Module, layers: Sequence[LayerFacts]) -> list[LayerFacts]:
    met = {parameter.name for layer in layers for parameter in layer.parameters}
    unmet = [(name.rpartition("."), parameter) for name, parameter in network.named_parameters() if name not in met]
    return [
        LayerFacts(
            name=owner or type(network).__name__,
            operator="other",
            section="backbone",
            input_elements=0,
            output_elements=0,
            groups=1,
            macs=0,
            rate_class=None,
            parameters=tuple(
                ParameterFacts("".join(path), one.numel(), "bias" if path[2].startswith("bias") else "weight", tuple(one.shape))
                for path, one in members
            ),
            residual_elements=0,
            upstream=(),
            final_in_lite=False,
        )
        for owner, members in groupby(unmet, key=lambda one: one[0][0])
    ]


def _with_head(layers: list[LayerFacts]) -> list[LayerFacts]:
    """The classifier is the last linear layer or convolution with parameters; where there is none, the last layer with any."""
    trained = [index for index, layer in enumerate(layers) if layer.parameters]
    dense = [index for index in trained if layers[index].operator in ("linear", "convolution")]
    head = (dense or trained)[-1]
    return [replace(layer, section="head") if index == head else layer for index, layer in enumerate(layers)]
