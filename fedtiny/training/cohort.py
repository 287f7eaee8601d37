"""Many clients in one pass: the local steps of a package of clients, side by side.

The trainable values of all clients are the rows of one matrix, (clients, trainable elements), and their gradients those of another;
every trainable tensor is a view (clients, *shape) into it. A batch of every client makes one big batch (clients * batch, ...), which
runs through the network with its own layers where they are frozen and with those of client_layers.py where clients differ. The sum
of the clients' mean losses has every client's own gradient as its gradient, since no client's values touch another's loss.

Equal to one client at a time (`LocalLearner.do`) up to the order in which sums are formed; a test holds the two together.

Clients that do not go together are trained in passes of their own: those with another number of steps, another part of a mixed
fleet's vector, or batches of more than twice the size. Smaller batches are filled up with an example that counts nothing.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from fedtiny.errors import FedTinyError
from fedtiny.models.weight_standardized_convolution import WeightStandardizedConvolution
from fedtiny.training.client_layers import ClientConvolution, ClientLinear, client_layer
from fedtiny.training.cohort_head import HeadDescent, descends
from fedtiny.training.cohort_lanes import Lane, LaneBatches
from fedtiny.training.cohort_rules import can_be_vectorised
from fedtiny.training.cohort_updates import CohortUpdates
from fedtiny.training.cross_entropy import loss_and_gradient, put_head_gradients
from fedtiny.training.frozen_features import FrozenFeatures, Stage, stages_of
from fedtiny.training.local import FlatNetwork, LocalLearner
from fedtiny.training.local_work import LocalResult, Package, WorkFailed
from fedtiny.training.one_thread import one_thread
from fedtiny.training.optimizer import SGD
from fedtiny.training.stepper import stepper
from fedtiny.updates.layout import Layout, TrainableTensor

Learner = Callable[[int], LocalLearner]
"""Finds a client's learner by its number."""


class CohortTrainer:
    """Trains packages of clients that share a network, each in as few passes as their differences allow.

    `features_bytes` bounds the memory for what frozen layers make of examples. Raises ValueError where the network has a trainable
    layer that has no form for many clients (`can_be_vectorised`).
    """

    def __init__(self, flat: FlatNetwork, learner: Learner, features_bytes: int = 256_000_000) -> None:
        if not can_be_vectorised(flat):
            raise ValueError("a layer of this network that trains has no form for many clients")
        self.flat, self.learner = flat, learner
        self.values: dict[str, Tensor] = {}
        network = self._with_client_layers(flat.network, "")
        self.trunk, self.rest = _split(stages_of(network), flat.layout.names, network)
        self.head = _head_alone(self.rest, flat.layout)
        self.features = FrozenFeatures(self.trunk, features_bytes) if self.trunk else None

    @one_thread()
    def train(self, package: Package) -> list[LocalResult]:
        """What the work of each client gives, in the order of the package. Raises WorkFailed, of the first client of a pass."""
        groups: dict[Hashable, list[Lane]] = {}
        for place, (number, work) in enumerate(package):
            lane = Lane(place, self.learner(number), work)
            groups.setdefault(lane.goes_with, []).append(lane)
        results: dict[int, LocalResult] = {}
        for lanes in groups.values():
            results |= dict(zip((lane.place for lane in lanes), self._or_failed(lanes), strict=True))
        return [results[place] for place in range(len(package))]

    def _or_failed(self, lanes: Sequence[Lane]) -> list[LocalResult]:
        try:
            return self._train_together(lanes)
        except FedTinyError:
            raise
        except Exception as error:
            others = f" (in one pass with {len(lanes) - 1} other devices)" if len(lanes) > 1 else ""
            raise WorkFailed(lanes[0].learner.number, f"{type(error).__name__}: {error}{others}") from error

    def _train_together(self, lanes: Sequence[Lane]) -> list[LocalResult]:
        work, part = lanes[0].work, lanes[0].learner.part
        if self.head is not None and descends(lanes[0]):
            return self._train_head(lanes, self.head)
        matrix = _stacked([lane.work.weights for lane in lanes], self.flat.weights)
        gradients = torch.zeros_like(matrix)
        own = None if part is None else torch.from_numpy(part.positions).to(matrix.device)
        joined = self._join(matrix, gradients, None if part is None else part.names)
        batches = LaneBatches(lanes, self.flat.weights)
        descent = _Proximal(work.proximal, matrix, gradients)
        step_once = _stepper(lanes[0], matrix, descent.gradients, own)
        total = None if work.rate is None else torch.zeros_like(gradients)
        updates = CohortUpdates(lanes, matrix, gradients, own) if work.sums_updates else None
        step_once = step_once if updates is None else updates.step
        last, losses = None, torch.zeros(work.steps, len(lanes), dtype=torch.float64)
        flows = self._flows(batches)
        for step, flow in enumerate(flows):
            joined.spread(self.values)
            losses[step] = self._backward(flow, batches, step, joined)
            if total is not None:
                total += gradients
            if work.holds_last and step == work.steps - 1:
                last = gradients if updates is None else updates.held()
            else:
                descent.pull()
                step_once()
                _observe(lanes, matrix, step)
        self.values.clear()
        return _results(lanes, matrix, losses, total, last) if updates is None else updates.results(matrix, losses, last)

    def _train_head(self, lanes: Sequence[Lane], head: ClientLinear) -> list[LocalResult]:
        """The same in closed form: nothing but the last linear layer trains, and every step is plain descent."""
        batches = LaneBatches(lanes, self.flat.weights)
        watched = any(lane.learner.observer is not None for lane in lanes)
        descent = HeadDescent(lanes, tuple(head.layer.weight.shape), self.flat.weights)
        return descent.train(map(self._before_head, self._flows(batches)), batches, partial(_observe, lanes) if watched else None)

    @torch.no_grad()
    def _before_head(self, flow: Tensor) -> Tensor:
        """What the last layer is given, (clients, batch, in), of inputs or features (clients, batch, ...)."""
        if len(self.rest) == 1:
            return flow
        clients, flow = len(flow), flow.flatten(0, 1)
        for stage in self.rest[:-1]:
            flow = stage(flow)
        return flow.view(clients, -1, *flow.shape[1:])

    def _flows(self, batches: LaneBatches) -> Iterator[Tensor]:
        """For one step after the other, the batches' inputs, or what the trunk makes of them, (clients, batch, ...)."""
        return batches.all_inputs() if self.features is None else self.features.of(batches.lanes, batches.places)

    def _backward(self, flow: Tensor, batches: LaneBatches, step: int, joined: "_Joined") -> Tensor:
        """Puts the gradients of the step's batches, from their inputs or features, into the matrix and returns the mean loss of each
        client, (clients,)."""
        if self.head is not None and len(joined.leaves) == len(self.values):
            return self._head_alone(flow, batches, step, joined, self.head)
        flow = flow.flatten(0, 1)
        for stage in self.rest:
            flow = stage(flow)
        losses, of_flow = loss_and_gradient(flow, batches.targets[step], batches.shares[step])
        # a gradient that is given to autograd.grad makes torch import sympy, most of a second
        joined.keep(torch.autograd.grad((flow * of_flow).sum(), joined.leaves, allow_unused=True))
        return losses

    @torch.no_grad()
    def _head_alone(self, flow: Tensor, batches: LaneBatches, step: int, joined: "_Joined", head: ClientLinear) -> Tensor:
        """The same where nothing but the last linear layer trains."""
        rows = self._before_head(flow)
        losses, of_logits = loss_and_gradient(head(rows.flatten(0, 1)), batches.targets[step], batches.shares[step])
        put_head_gradients(rows, of_logits.view(*rows.shape[:2], -1), *joined.of_layer())
        return losses

    def _join(self, matrix: Tensor, gradients: Tensor, names: frozenset[str] | None) -> "_Joined":
        """Makes the matrix's columns the values of the layers."""
        joined, position = _Joined(), 0
        for tensor in self.flat.layout.tensors:
            columns = slice(position, position + tensor.elements)
            values = matrix[:, columns].view(len(matrix), *tensor.trained_shape).detach()
            if names is None or tensor.name in names:
                joined.leaves.append(values.requires_grad_())
                joined.gradients.append(gradients[:, columns].view(len(matrix), *tensor.trained_shape))
            if tensor.channels is None:
                self.values[tensor.name] = values
            else:
                whole = self.flat.network.get_parameter(tensor.name).detach().expand(len(matrix), *tensor.shape)
                joined.partial.append((tensor, values, whole, torch.tensor(tensor.channels, device=matrix.device)))
            position = columns.stop
        return joined

    def _with_client_layers(self, module: nn.Module, path: str) -> nn.Module:
        """The module with its layers that differ from client to client, or are worth preparing once, in their form for many clients."""
        own = {_joined(path, name) for name, _ in module.named_parameters(recurse=False)}
        differs = bool(own & self.flat.layout.names)
        if differs or isinstance(module, WeightStandardizedConvolution):
            return client_layer(module, path, self.values)
        if not module._modules:
            return module
        twin = copy.copy(module)
        twin.__dict__["_modules"] = OrderedDict(
            (name, child if child is None else self._with_client_layers(child, _joined(path, name)))
            for name, child in module._modules.items()
        )
        return twin


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@dataclass
class _Joined:
    """The tensors of a pass and their places in the matrices."""

    leaves: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    """Where the gradient of each leaf is kept: a view of the matrix of gradients."""
    partial: list[tuple[TrainableTensor, Tensor, Tensor, Tensor]] = field(default_factory=list)
    """Of a tensor that trains in part: its values, the whole tensor for every client, and the channels."""

    def spread(self, values: dict[str, Tensor]) -> None:
        """Brings the tensors that train in part up to date."""
        for tensor, own, whole, channels in self.partial:
            values[tensor.name] = whole.index_copy(tensor.axis + 1, channels, own)

    def of_layer(self) -> tuple[Tensor, Tensor | None]:
        """The places of the gradients of weight and bias, where these are all the leaves."""
        return self.gradients[0], self.gradients[1] if len(self.gradients) > 1 else None

    def keep(self, found: Sequence[Tensor | None]) -> None:
        """Writes gradients to their places; None is a tensor that the loss does not depend on."""
        there = [(place, gradient) for place, gradient in zip(self.gradients, found, strict=True) if gradient is not None]
        torch._foreach_copy_([place for place, _ in there], [gradient for _, gradient in there])


def _stacked(vectors: Sequence[np.ndarray], like: Tensor) -> Tensor:
    if all(vector is vectors[0] for vector in vectors):
        return torch.from_numpy(vectors[0].copy()).to(like).expand(len(vectors), -1).clone()
    return torch.from_numpy(np.stack(vectors)).to(like)


class _Proximal:
    """What the steps descend: the gradients, with mu (w - start) added where there is a proximal term."""

    def __init__(self, weight: float, matrix: Tensor, gradients: Tensor) -> None:
        self._weight, self._matrix, self._raw = weight, matrix, gradients
        self._start = matrix.clone() if weight else None
        # a matrix of its own: the gradient of a tensor that the loss does not depend on is never written again
        self.gradients = torch.zeros_like(gradients) if weight else gradients

    def pull(self) -> None:
        """Brings `gradients` up to date."""
        if self._start is not None:
            torch.add(self._raw, self._matrix - self._start, alpha=self._weight, out=self.gradients)


def _stepper(lane: Lane, matrix: Tensor, gradients: Tensor, own: Tensor | None) -> Callable[[], object]:
    """What takes one step with what stands in `gradients`, for all rows; of the columns `own` alone, where they are given."""
    optimizer = lane.optimizer if lane.work.rate is None else SGD(learning_rate=lane.work.rate)
    if own is None:
        return stepper(optimizer, matrix, gradients)
    mine, theirs = matrix[:, own], gradients[:, own]
    inner = stepper(optimizer, mine, theirs)

    def step() -> None:
        theirs.copy_(gradients[:, own])
        inner()
        matrix[:, own] = mine

    return step


def _observe(lanes: Sequence[Lane], matrix: Tensor, step: int) -> None:
    for row, lane in enumerate(lanes):
        if lane.learner.observer is not None:
            lane.learner.observe(lane.work.first_step + step, matrix[row].numpy(force=True))


def _results(lanes: Sequence[Lane], matrix: Tensor, losses: Tensor, total: Tensor | None, last: Tensor | None) -> list[LocalResult]:
    weights, means = matrix.numpy(force=True), losses.numpy()
    sums, held = (None if vectors is None else vectors.numpy(force=True) for vectors in (total, last))
    return [
        LocalResult(
            weights=weights[row],
            losses=np.ascontiguousarray(means[:, row]),
            gradient_sum=None if sums is None else sums[row][lane.learner.own],
            last_gradient=None if held is None else held[row][lane.learner.own],
        )
        for row, lane in enumerate(lanes)
    ]


def _head_alone(rest: Sequence[Stage], layout: Layout) -> ClientLinear | None:
    """The last layer, if it is linear and its whole weight, and its bias if it has one, are all that trains."""
    head = rest[-1] if rest else None
    if not isinstance(head, ClientLinear) or head.layer.weight.dim() != 2:
        return None
    whole = [f"{head.path}.{name}" for name, _ in head.layer.named_parameters()]
    alone = [tensor.name for tensor in layout.tensors] == whole and all(tensor.channels is None for tensor in layout.tensors)
    return head if alone and whole[0] == f"{head.path}.weight" else None


def _split(stages: Sequence[Stage], names: frozenset[str], network: nn.Module) -> tuple[list[Stage], list[Stage]]:
    """The stages before the first one that has a layer whose values differ, and the others."""
    for place, stage in enumerate(stages):
        if isinstance(stage, nn.Module) and any(_differs(module, names) for module in stage.modules()):
            worth = any(isinstance(earlier, nn.Module) and _computes(earlier) for earlier in stages[:place])
            return (list(stages[:place]), list(stages[place:])) if worth else ([], list(stages))
    return [], list(stages)


def _differs(module: nn.Module, names: frozenset[str]) -> bool:
    path = getattr(module, "path", None)
    return path is not None and any(name.rpartition(".")[0] == path for name in names)


def _computes(stage: nn.Module) -> bool:
    return any(isinstance(module, ClientConvolution) or any(True for _ in module.parameters()) for module in stage.modules())
