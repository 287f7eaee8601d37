"""Layers whose parameters differ from client to client, on one big batch of all clients' examples.

Activations are (clients * batch, channels, ...), the clients one after the other, each with the same number of examples. A layer
that is frozen is the same for all and runs as it is, on the big batch. Here are the others: with a parameter p of each client,
(clients, *shape), they compute what the plain layer computes for each client with its own p.

| layer | how |
|---|---|
| bias of anything, affine of a norm | one broadcast over (clients, batch, channels, ...) |
| linear, 1x1 convolution of stride 1 | one batched matrix product, rows (clients, rows, in), free of copies in channels-last |
| other convolutions | one after the other, client by client: faster on a CPU than a grouped convolution, whose copies cost more |
| depthwise on maps of one pixel | the centre of the kernel alone touches it: a product |

A convolution whose weight is standardised (TinyTL's) is standardised for every client; a frozen one once, not in every step.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

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


class _TimesWeights(torch.autograd.Function):
    """rows (clients, rows, in) times the transposes of weights (clients, out, in), with a gradient that is laid out as the weights are:
    autograd's own is the transpose of it, and bringing it into the matrix of gradients takes longer than all the rest."""

    @staticmethod
    def forward(context: Any, rows: Tensor, weights: Tensor) -> Tensor:
        context.save_for_backward(rows, weights)
        return torch.bmm(rows, weights.transpose(1, 2))

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        rows, weights = context.saved_tensors
        of_rows = torch.bmm(gradient, weights) if context.needs_input_grad[0] else None
        of_weights = torch.bmm(gradient.transpose(1, 2), rows) if context.needs_input_grad[1] else None
        return of_rows, of_weights


def times_weights(rows: Tensor, weights: Tensor) -> Tensor:
    """(clients, rows, in) and (clients, out, in) -> (clients, rows, out): every client's rows through its own linear map."""
    product: Tensor = _TimesWeights.apply(rows, weights)  # type: ignore[no-untyped-call]
    return product


class ClientLayer(nn.Module):
    """One layer for many clients: takes `weight` and `bias` from `values` where they are there, else from the plain layer."""

    layer: Any
    """The plain layer; not registered, since its tensors belong to the plain network."""

    def __init__(self, layer: nn.Module, path: str, values: OfClients) -> None:
        super().__init__()
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
            output = functional.linear(inputs, cast(Tensor, self.frozen("weight")), self.frozen("bias"))
            return output if bias is None else _plus(output, bias, last=True)
        clients = len(weight)
        rows = inputs.reshape(clients, -1, inputs.shape[-1])
        output, shared = times_weights(rows, weight), self.frozen("bias")
        if bias is not None:
            output = output + bias.unsqueeze(1)
        elif shared is not None:
            output = output + shared
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
        if layer.groups == 1 and set(weight.shape[3:]) == {1} and set(_stride(layer)) == {1} and not any(padding):
            rows = inputs.movedim(1, -1).reshape(clients, -1, inputs.shape[1])
            output = times_weights(rows, weight.flatten(2))
            return output.view(len(inputs), *space, -1).movedim(-1, 1)
        if layer.groups == inputs.shape[1] == weight.shape[1] and set(space) == {1} and _covers_one_pixel(weight, padding):
            centre = weight.flatten(3)[:, :, 0, weight[0, 0, 0].numel() // 2]
            return (_by_client(inputs, clients) * centre.view(clients, 1, -1, *[1] * len(space))).flatten(0, 1)
        of_clients = zip(inputs.chunk(clients), weight.unbind(0), strict=True)
        parts = [self._convolved(part, own, None, padding) for part, own in of_clients]
        return torch.cat(parts)

    def _convolved(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, ...]) -> Tensor:
        convolve = functional.conv1d if weight.dim() == 3 else functional.conv2d
        output: Tensor = convolve(inputs, weight, bias, _stride(self.layer), padding, 1, self.layer.groups)
        return output

    def _constant(self) -> Tensor:
        """The frozen weight, standardised once."""
        if self.constant is None:
            weight: Tensor = self.layer.weight.detach()
            self.constant = standardized(weight) if isinstance(self.layer, WeightStandardizedConvolution) else weight
        return self.constant

    def _standardized(self, weight: Tensor) -> Tensor:
        if not isinstance(self.layer, WeightStandardizedConvolution):
            return weight
        centred = weight - weight.mean((2, 3, 4), keepdim=True)
        deviation: Tensor = torch.linalg.vector_norm(centred, dim=(2, 3, 4), keepdim=True) / (weight[0, 0].numel() - 1) ** 0.5
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
            return inputs, tuple(cast(tuple[int, ...], layer.padding))
        return inputs, (layer.kernel // 2,) * 2


class ClientGroupNorm(ClientLayer):
    """(clients * batch, channels, ...) -> the same."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Each sample normalised, then scaled and shifted as its client does."""
        layer: nn.GroupNorm = self.layer
        weight, bias, shared = self.of_clients("weight"), self.of_clients("bias"), self.frozen("bias")
        if weight is None:
            normalized = functional.group_norm(inputs, layer.num_groups, self.frozen("weight"), shared, layer.eps)
            return normalized if bias is None else _plus(normalized, bias)
        normalized = functional.group_norm(inputs, layer.num_groups, None, None, layer.eps)
        return _affine(normalized, weight, bias if shared is None else shared.expand(len(weight), -1))


class ClientFrozenBatchNorm(ClientLayer):
    """(clients * batch, channels, height, width) -> the same."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Each channel scaled and shifted as its client does."""
        layer: FrozenBatchNormalization = self.layer
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


def _stride(layer: Any) -> tuple[int, ...]:
    stride = layer.stride
    return (stride, stride) if isinstance(stride, int) else tuple(stride)


def _covers_one_pixel(weight: Tensor, padding: tuple[int, ...]) -> bool:
    """Whether a kernel over a map of one pixel gives one pixel, so that one element of it counts."""
    return all(2 * pad + 1 == size for pad, size in zip(padding, weight.shape[3:], strict=True))


def _affine(normalized: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if weight is None:
        return normalized if bias is None else _plus(normalized, bias)
    clients = len(weight)
    of_clients = _by_client(normalized, clients)
    scale = _broadcast(weight, normalized.dim())
    scaled = of_clients * scale if bias is None else torch.addcmul(_broadcast(bias, normalized.dim()), of_clients, scale)
    return scaled.flatten(0, 1)


def _plus(output: Tensor, bias: Tensor, *, last: bool = False) -> Tensor:
    """`output` (clients * batch, channels, ...) with each client's bias (clients, channels); `last`: channels are the last axis."""
    clients = len(bias)
    shape = (clients, *[1] * (output.dim() - 1), bias.shape[1])
    own = bias.view(shape) if last else _broadcast(bias, output.dim())
    return (_by_client(output, clients) + own).flatten(0, 1)


def _by_client(values: Tensor, clients: int) -> Tensor:
    """(clients * batch, ...) -> (clients, batch, ...), without a copy."""
    return values.view(clients, len(values) // clients, *values.shape[1:])


def _broadcast(values: Tensor, axes: int) -> Tensor:
    """(clients, channels) -> (clients, 1, channels, 1, ...) beside a tensor (clients, batch, channels, ...)."""
    return values.view(len(values), 1, values.shape[1], *[1] * (axes - 2))
