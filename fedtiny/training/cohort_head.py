"""Many clients of which a last linear layer is all that trains: their steps in closed form, without autograd.

With features x of an example (they are the same all along), logits z = W x + b, share s of the example in its client's mean, p =
softmax(z) and target y (one-hot, or a distribution; |y| is its sum, mostly 1), a step of plain descent is

    g = s (|y| p - y),    W <- W - rate sum over the client's examples of g x^T,    b <- b - rate sum of g

for all clients at once: two batched products, W x^T of shape (clients, out, batch), and its gradient times x added to W where it
stands. Softmax runs over the middle axis, since a vector unit takes many examples at a time there and few of ten classes.

| the clients' steps | how |
|---|---|
| plain SGD without proximal term, or descent at a given rate, of the whole layer | here |
| momentum, weight decay, Adam, a proximal term, updates that are summed, a part of a mixed fleet | gradients into a matrix, as for other networks |
"""  # noqa: E501

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from fedtiny.training.cohort_lanes import Lane, LaneBatches
from fedtiny.training.local_work import LocalResult
from fedtiny.training.optimizer import SGD

Observe = Callable[[Tensor, int], None]
"""Is told what all clients' weights (clients, trainable elements) are after a step, counted from 0."""


def descends(lane: Lane) -> bool:
    """Whether a client's steps are w <- w - rate g for everything that trains."""
    work, optimizer = lane.work, lane.optimizer
    if lane.learner.part is not None or work.sums_updates:
        return False
    return work.rate is not None or (work.proximal == 0 and isinstance(optimizer, SGD) and optimizer.is_plain)


class HeadDescent:
    """The steps of clients that all `descends`; `shape` is that of the layer's weight, (out, in), and `like` says type and place.

    A client's flat vector is its weight row by row and then, where the layer has one, its bias.
    """

    def __init__(self, lanes: Sequence[Lane], shape: tuple[int, ...], like: Tensor) -> None:
        self._lanes, self._work = lanes, lanes[0].work
        rate = self._work.rate
        self._rate = lanes[0].optimizer.learning_rate if rate is None else rate
        self._layer = _Layers.of([lane.work.weights for lane in lanes], shape, like)
        self._sum = None if rate is None else self._layer.zeros()
        self._last: _Layers | None = None

    @torch.no_grad()
    def train(self, flows: Iterable[Tensor], batches: LaneBatches, observe: Observe | None) -> list[LocalResult]:
        """Takes the steps; `flows` gives each one's features, (clients, batch, in)."""
        error = _Error(batches)
        for step, rows in enumerate(flows):
            gradient = error.at(step, self._layer.logits(rows))
            if self._sum is not None:
                self._sum.add(gradient, rows, 1.0)
            if self._work.holds_last and step == self._work.steps - 1:
                self._last = self._layer.zeros().add(gradient, rows, 1.0)
                continue
            self._layer.add(gradient, rows, -self._rate)
            if observe is not None:
                observe(self._layer.joined(), step)
        return self._results(error.losses())

    def _results(self, losses: np.ndarray) -> list[LocalResult]:
        weights, total, last = (
            None if layers is None else layers.joined().numpy(force=True) for layers in (self._layer, self._sum, self._last)
        )
        assert weights is not None
        return [
            LocalResult(
                weights=weights[row],
                losses=losses[row],
                gradient_sum=None if total is None else total[row],
                last_gradient=None if last is None else last[row],
            )
            for row in range(len(self._lanes))
        ]


class _Layers:
    """The clients' linear layers: weight (clients, out, in) and bias (clients, out, 1) or None, each in memory of its own: products
    into a stretch of a longer vector take up to four times as long."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias

    @staticmethod
    def of(vectors: Sequence[np.ndarray], shape: tuple[int, ...], like: Tensor) -> "_Layers":
        """From the clients' flat vectors."""
        out, elements = shape[0], shape[0] * shape[1]
        shared = all(vector is vectors[0] for vector in vectors)
        matrix = torch.from_numpy(vectors[0][None].copy() if shared else np.stack(vectors)).to(like).expand(len(vectors), -1)
        weight = matrix[:, :elements].clone(memory_format=torch.contiguous_format).view(-1, *shape)
        has_bias = matrix.shape[1] > elements
        return _Layers(weight, matrix[:, elements:].reshape(-1, out, 1).clone() if has_bias else None)

    def zeros(self) -> "_Layers":
        """As these, all 0."""
        return _Layers(torch.zeros_like(self.weight), None if self.bias is None else torch.zeros_like(self.bias))

    def logits(self, rows: Tensor) -> Tensor:
        """(clients, batch, in) -> (clients, out, batch)."""
        columns = rows.transpose(1, 2)
        return torch.bmm(self.weight, columns) if self.bias is None else torch.baddbmm(self.bias, self.weight, columns)

    def add(self, of_logits: Tensor, rows: Tensor, factor: float) -> "_Layers":
        """Adds so many times the gradient, from that of the logits (clients, out, batch)."""
        self.weight.baddbmm_(of_logits, rows, alpha=factor)
        if self.bias is not None:
            self.bias.add_(of_logits.sum(2, keepdim=True), alpha=factor)
        return self

    def joined(self) -> Tensor:
        """Flat vectors again, (clients, trainable elements), in memory of their own."""
        parts = [self.weight.flatten(1), *([] if self.bias is None else [self.bias.flatten(1)])]
        return torch.cat(parts, 1)


class _Error:
    """The losses of the batches of a pass, and their gradients by the logits."""

    def __init__(self, batches: LaneBatches) -> None:
        steps, clients, batch = batches.shares.shape
        self._shares, targets = batches.shares.view(steps, clients, 1, batch), batches.targets
        self._soft = targets.is_floating_point()
        if self._soft:
            self._targets = targets.view(steps, clients, batch, -1).transpose(2, 3)
        else:
            self._targets, self._minus = targets.view(steps, clients, 1, batch), -self._shares
        self._logarithms = torch.empty_like(self._shares)
        """Of each example, minus its loss."""

    def at(self, step: int, logits: Tensor) -> Tensor:
        """The gradient of the sum of the clients' mean losses by the logits (clients, out, batch)."""
        logarithms, targets = torch.log_softmax(logits, 1), self._targets[step]
        if self._soft:
            torch.sum(logarithms * targets, 1, keepdim=True, out=self._logarithms[step])
            return logarithms.exp_().mul_(targets.sum(1, keepdim=True)).sub_(targets).mul_(self._shares[step])
        torch.gather(logarithms, 1, targets, out=self._logarithms[step])
        return logarithms.exp_().mul_(self._shares[step]).scatter_add_(1, targets, self._minus[step])

    def losses(self) -> np.ndarray:
        """The mean loss of every client's batches, float64 (clients, steps)."""
        means = -(self._logarithms * self._shares).sum(3).squeeze(2)
        losses: np.ndarray = means.t().to(torch.float64).contiguous().numpy(force=True)
        return losses
