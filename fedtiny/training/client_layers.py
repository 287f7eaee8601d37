"""Layers whose parameters differ from client to client, on one big batch of all clients' examples.

Activations are (clients * batch, channels, ...), the clients one after the other, each with the same number of examples. A layer
that is frozen is the same for all and runs as it is, on the big batch. Here are the others: with a parameter p of each client,
(clients, *shape), they compute what the plain layer computes for each client with its own p.

| layer | how |
|---|---|
| bias of anything, affine of a norm | one broadcast over (clients, batch, channels, ...) |
| linear, 1x1 convolution of stride 1 | one batched matrix product (clients, rows, in) x (clients, in, out); channels-last makes it free of copies |
| other convolutions | one after the other, client by client: faster on a CPU than a grouped convolution, whose copies cost more |
| depthwise on maps of one pixel | the centre of the kernel alone touches it: a product |

A convolution whose weight is standardised (TinyTL's) is standardised for every client; a frozen one once, not in every step.
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from fedtiny.models.folded_convolution import FoldedConvolution
from fedtiny.models.frozen_batch_normalization import EPSILON as BATCH_NORM_EPSILON
from fedtiny.models.frozen_batch_normalization import FrozenBatchNormalization
from fedtiny.models.same_padded_convolution import SamePaddedConvolution
from fedtiny.models.weight_standardized_convolution import EPSILON, WeightStandardizedConvolution, standardized

CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, WeightStandardizedConvolution, FoldedConvolution)
NORMS: Final = (nn.GroupNorm, FrozenBatchNormalization)
KINDS: Final = (nn.Linear, *CONVOLUTIONS, *NORMS)
"""The layers that have a form for many clients."""

OfClients = Mapping[str, Tensor]
"""By full name, the values of every tensor that differs from client to client, (clients, *shape); changes from step to step."""


class ClientLayer(nn.Module):
    """One layer for many clients: takes `weight` and `bias` from `values` where they are there, else from the plain layer."""

    def __init__(self, layer: nn.Module, path: str, values: OfClients) -> None:
        super().__init__()
        # not registered: a plain layer's tensors belong to the plain network
        self.__dict__["layer"] = layer
        self.path, self.values = path, values
        self.constant: Tensor | None = None

    def of_clients(self, name: str) -> Tensor | None:
        """The parameter (clients, *shape) where it differs; None where it is frozen or not there."""
        return self.values.get(f"{self.path}.{name}")

    def frozen(self, name: str) -> Tensor | None:
        """The parameter of the plain layer where no client has its own."""
        value: Tensor | None = getattr(self.layer, name, None)
        return None if value is None or f"{self.path}.{name}" in self.values else value.detach()


class ClientLinear(ClientLayer):
    """(clients * batch, ..., in) -> (clients * batch, ..., out)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The linear map of each client."""
        weight, bias = self.of_clients("weight"), self.of_clients("bias")
        if weight is None:
            output = functional.linear(inputs, self.frozen("weight"), self.frozen("bias"))  # type: ignore[arg-type]
            return output if bias is None else _plus(output, bias, last=True)
        clients = len(weight)
        rows = inputs.reshape(clients, -1, inputs.shape[-1])
        if bias is not None:
            output = torch.baddbmm(bias.unsqueeze(1), rows, weight.transpose(1, 2))
        else:
            output, shared = torch.bmm(rows, weight.transpose(1, 2)), self.frozen("bias")
            output = output if shared is None else output + shared
        return output.view(*inputs.shape[:-1], -1)


class ClientConvolution(ClientLayer):
    """(clients * batch, in, ...) -> (clients * batch, out, ...), one or two axes of space."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The convolution of each client."""
        weight, bias, shared = self.of_clients("weight"), self.of_clients("bias"), self.frozen("bias")
        inputs, padding = self._padded(inputs)
        if weight is None:
            output = self._convolved(inputs, self._constant(), shared, padding)
        else:
            output = self._each(inputs, self._standardized(weight), padding)
            output = output if shared is None else output + shared.view(-1, *[1] * (inputs.dim() - 2))
        return output if bias is None else _plus(output, bias)

    def _each(self, inputs: Tensor, weight: Tensor, padding: tuple[int, ...]) -> Tensor:
        """`weight` is (clients, out, in / groups, ...)."""
        clients, space, layer = len(weight), inputs.shape[2:], self.layer
        if layer_groups(layer) == 1 and set(weight.shape[3:]) == {1} and set(_stride(layer)) == {1} and not any(padding):
            rows = inputs.movedim(1, -1).reshape(clients, -1, inputs.shape[1])
            output = torch.bmm(rows, weight.flatten(2).transpose(1, 2))
            return output.view(len(inputs), *space, -1).movedim(-1, 1)
        if layer_groups(layer) == inputs.shape[1] == weight.shape[1] and set(space) == {1} and _covers_one_pixel(weight, padding):
            centre = weight[(slice(None), slice(None), 0, *padding)]
            return (inputs.unflatten(0, (clients, -1)) * centre.view(clients, 1, -1, *[1] * len(space))).flatten(0, 1)
        batch = len(inputs) // clients
        parts = [self._convolved(part, own, None, padding) for part, own in zip(inputs.split(batch), weight.unbind(0), strict=True)]
        return torch.cat(parts)

    def _convolved(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...]) -> Tensor:
        convolve = functional.conv1d if weight.dim() == 3 else functional.conv2d
        return convolve(inputs, weight, bias, _stride(self.layer), padding, 1, layer_groups(self.layer))

    def _constant(self) -> Tensor:
        """The frozen weight, standardised once."""
        if self.constant is None:
            weight = self.layer.weight.detach()  # type: ignore[union-attr]
            self.constant = standardized(weight) if isinstance(self.layer, WeightStandardizedConvolution) else weight
        return self.constant  # type: ignore[return-value]

    def _standardized(self, weight: Tensor) -> Tensor:
        if not isinstance(self.layer, WeightStandardizedConvolution):
            return weight
        centred = weight - weight.mean((2, 3, 4), keepdim=True)
        deviation = torch.linalg.vector_norm(centred, dim=(2, 3, 4), keepdim=True) / (weight[0, 0].numel() - 1) ** 0.5
        return centred / (deviation + EPSILON)

    def _padded(self, inputs: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """The inputs, padded already where the padding is not symmetric, and the padding that is left to do."""
        layer = self.layer
        if isinstance(layer, SamePaddedConvolution):
            height, width = (layer._padding(size) for size in inputs.shape[-2:])
            if height % 2 == width % 2 == 0:
                return inputs, (height // 2, width // 2)
            return functional.pad(inputs, (width // 2, width - width // 2, height // 2, height - height // 2)), (0, 0)
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            return inputs, tuple(layer.padding)  # type: ignore[arg-type]
        return inputs, (layer.kernel // 2,) * 2  # type: ignore[operator]


class ClientGroupNorm(ClientLayer):
    """(clients * batch, channels, ...) -> the same."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Each sample normalised, then scaled and shifted as its client does."""
        layer: nn.GroupNorm = self.layer  # type: ignore[assignment]
        weight, bias = self.of_clients("weight"), self.of_clients("bias")
        normalized = functional.group_norm(inputs, layer.num_groups, self.frozen("weight"), self.frozen("bias"), layer.eps)
        return _affine(normalized, weight, bias)


class ClientFrozenBatchNorm(ClientLayer):
    """(clients * batch, channels, height, width) -> the same."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Each channel scaled and shifted as its client does."""
        layer: FrozenBatchNormalization = self.layer  # type: ignore[assignment]
        normalized = torch.rsqrt(layer.variance + BATCH_NORM_EPSILON)
        weight, bias = self.of_clients("weight"), self.of_clients("bias")
        scale = (layer.weight.detach() if weight is None else weight) * normalized
        shift = (layer.bias.detach() if bias is None else bias) - scale * layer.mean
        if weight is None:
            output = inputs * scale.view(-1, 1, 1)
            return _plus(output, shift)
        return _affine(inputs, scale, shift)


def client_layer(layer: nn.Module, path: str, values: OfClients) -> ClientLayer:
    """The form for many clients of a layer of one of the `KINDS`."""
    if isinstance(layer, nn.Linear):
        return ClientLinear(layer, path, values)
    if isinstance(layer, nn.GroupNorm):
        return ClientGroupNorm(layer, path, values)
    if isinstance(layer, FrozenBatchNormalization):
        return ClientFrozenBatchNorm(layer, path, values)
    return ClientConvolution(layer, path, values)


def layer_groups(layer: nn.Module) -> int:
    """The groups of a convolution."""
    groups: int = layer.groups  # type: ignore[assignment]
    return groups


def _stride(layer: nn.Module) -> tuple[int, ...]:
    stride = layer.stride
    return (stride, stride) if isinstance(stride, int) else tuple(stride)  # type: ignore[arg-type]


def _covers_one_pixel(weight: Tensor, padding: tuple[int, ...]) -> bool:
    """Whether a kernel over a map of one pixel gives one pixel, so that one element of it counts."""
    return all(2 * pad + 1 == size for pad, size in zip(padding, weight.shape[3:], strict=True))


def _affine(normalized: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if weight is None:
        return normalized if bias is None else _plus(normalized, bias)
    clients = len(weight)
    of_clients = normalized.unflatten(0, (clients, -1))
    scale = _broadcast(weight, normalized.dim())
    scaled = of_clients * scale if bias is None else torch.addcmul(_broadcast(bias, normalized.dim()), of_clients, scale)
    return scaled.flatten(0, 1)


def _plus(output: Tensor, bias: Tensor, *, last: bool = False) -> Tensor:
    """`output` (clients * batch, channels, ...) with each client's bias (clients, channels); `last`: channels are the last axis."""
    clients = len(bias)
    shape = (clients, *[1] * (output.dim() - 1), bias.shape[1])
    own = bias.view(shape) if last else _broadcast(bias, output.dim())
    return (output.unflatten(0, (clients, -1)) + own).flatten(0, 1)


def _broadcast(values: Tensor, axes: int) -> Tensor:
    """(clients, channels) -> (clients, 1, channels, 1, ...) beside a tensor (clients, batch, channels, ...)."""
    return values.view(len(values), 1, values.shape[1], *[1] * (axes - 2))
