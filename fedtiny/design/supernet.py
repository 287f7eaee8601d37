"""A weight-shared network that holds all networks of an elastic space: Once-for-All (Cai et al., ICLR 2020, arXiv 1908.09791).

| choice | what a smaller network takes of the largest one |
|---|---|
| expansion | the leading channels inside the block, which are put in the order of their L1 importance when they first become a choice |
| depth | the first blocks of the stage |
| kernel | the middle of the next larger one, times a learned matrix (25x25, 9x9) of that block, all channels alike, identity at first |
| resolution | smaller images |

It is trained by progressive shrinking: the largest network first; then one choice after the other opens (kernel, depth, expansion; of
depths and expansions first the two largest), a few networks drawn anew for every batch, their gradients added up, each learning from the
targets and from the largest network of the first phase:

    loss = CE(targets) + distillation * CE(softmax of the teacher)

Networks are those of `models/mobile_network.py` with group norm, so there are no statistics of batches to estimate anew for each of
them (the published networks have batch normalisation); widths are multiples of eight, so that groups of eight stay groups. Adam stands
in for momentum, and phases are counted in steps (released: 180, 120, 145 and 145 epochs of ImageNet on 32 GPUs).
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from math import cos, pi
from typing import Annotated, Final, cast

import numpy as np
import torch
from pydantic import Field, Strict
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from fedtiny.design.netaug import sort_channels
from fedtiny.models.elastic_space import ElasticSpace, SubNetwork, architecture, largest, places, random_subnetwork
from fedtiny.models.initialization import initialize
from fedtiny.models.mobile_network import MobileNetwork
from fedtiny.parts import Part
from fedtiny.randomness import Streams
from fedtiny.training.local import Examples

_DEPTHWISE: Final = "main.depthwise.convolution.weight"
_MOST_TEMPLATES: Final = 256
_BATCH: Final = 500
_FIRST_SHARE: Final = 1 / 6
_LARGEST_TWO: Final = 2

Progress = Callable[[int, int], None]
"""(steps done, steps in all) -> None."""
Steps = Annotated[int, Field(ge=0)]


class SupernetTraining(Part):
    """Progressive shrinking: steps of each phase, and how a step is taken."""

    steps: Steps = 600
    """Steps of the largest network alone, which is then the teacher."""
    kernel_steps: Steps = 200
    """Steps with kernels to choose from, too."""
    depth_steps: Steps = 200
    """Steps with depths to choose from, too."""
    expansion_steps: Steps = 200
    """Steps with everything to choose from."""
    networks: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Strict(False), Field(min_length=3, max_length=3)] = (1, 2, 4)
    """Networks in a step of the kernel, depth and expansion phases."""
    batch_size: Annotated[int, Field(gt=0)] = 64
    """Examples in a step."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3e-3
    """Adam's step size at the beginning of the first phase; each phase ends at 0, along a cosine."""
    shrinking_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    """The same of the later phases."""
    distillation: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """What the teacher counts beside the targets."""

    @property
    def total(self) -> int:
        """Steps of all phases together."""
        return self.steps + self.kernel_steps + self.depth_steps + self.expansion_steps


@dataclass
class Supernet:
    """The largest network of a space with its kernel matrices, and every other network as part of it."""

    space: ElasticSpace
    network: MobileNetwork
    """The largest network; its depthwise kernels are the largest ones."""
    matrices: dict[tuple[int, int], nn.Parameter]
    """(place of the block, kernel) -> (kernel * kernel, kernel * kernel): what makes this kernel of the middle of the next larger one."""
    _templates: dict[SubNetwork, MobileNetwork] = field(default_factory=dict, repr=False)

    def parameters(self) -> list[nn.Parameter]:
        """All that trains."""
        return [*self.network.parameters(), *self.matrices.values()]

    @property
    def values(self) -> nn.Module:
        """The same as a module, whose state can be written and read."""
        matrices = nn.ParameterDict({f"{place}_{size}": value for (place, size), value in self.matrices.items()})
        return nn.ModuleDict({"network": self.network, "matrices": matrices})

    def logits(self, choice: SubNetwork, inputs: Tensor) -> Tensor:
        """Logits (batch, classes) of one network for images of any size, which are brought to its own."""
        template = self._template(choice)
        template.train(self.network.training)
        return cast(Tensor, functional_call(template, self.slices(choice, template), (resized(inputs, choice.resolution),)))

    def slices(self, choice: SubNetwork, template: MobileNetwork) -> dict[str, Tensor]:
        """For every parameter of a network, what it is of the largest one's."""
        own, where = dict(self.network.named_parameters()), places(self.space, choice)
        return {name: self._slice(own, name, like, where) for name, like in template.named_parameters()}

    def _slice(self, own: dict[str, nn.Parameter], name: str, like: Tensor, where: tuple[int, ...]) -> Tensor:
        match name.split("."):
            case ["blocks", place, *rest]:
                there = where[int(place)]
                found: Tensor = own[".".join(("blocks", str(there), *rest))]
                if ".".join(rest) == _DEPTHWISE:
                    return self._kernel(there, found[: len(like)], like.shape[-1])
            case _:
                found = own[name]
        return found[tuple(slice(size) for size in like.shape)].contiguous()

    def _kernel(self, place: int, weight: Tensor, wanted: int) -> Tensor:
        """A smaller kernel of a depthwise weight (channels, 1, size, size): one size after the other, each times its matrix."""
        for size in reversed(self.space.kernels):
            if wanted <= size < weight.shape[-1]:
                edge = (weight.shape[-1] - size) // 2
                middle = weight[..., edge : edge + size, edge : edge + size]
                weight = functional.linear(middle.flatten(1), self.matrices[place, size]).view(len(weight), 1, size, size)
        return weight.contiguous()

    @torch.no_grad()
    def export(self, choice: SubNetwork) -> MobileNetwork:
        """One network by itself, with its present values."""
        alone = self._build(choice)
        alone.load_state_dict({name: value.clone() for name, value in self.slices(choice, alone).items()})
        return alone

    def _template(self, choice: SubNetwork) -> MobileNetwork:
        if choice not in self._templates:
            if len(self._templates) >= _MOST_TEMPLATES:
                self._templates.pop(next(iter(self._templates)))
            self._templates[choice] = self._build(choice)
        return self._templates[choice]

    def _build(self, choice: SubNetwork) -> MobileNetwork:
        return empty_network(self.space, choice, self.network.channels, self.network.classes).to(next(self.network.parameters()).dtype)


def empty_network(space: ElasticSpace, choice: SubNetwork, channels: int, classes: int, *, lite_residual: bool = False) -> MobileNetwork:
    """A network of a space without values."""
    return MobileNetwork(architecture(space, choice), channels, classes, lite_residual=lite_residual)


def supernet(space: ElasticSpace, channels: int, classes: int, generator: torch.Generator) -> Supernet:
    """The supernet with random values and kernel matrices that change nothing."""
    network = empty_network(space, largest(space), channels, classes)
    initialize(network, generator)
    fixed = space.first_block is not None
    matrices = {
        (place, size): nn.Parameter(torch.eye(size * size))
        for place in range(int(fixed), len(network.blocks))
        for size in space.kernels[:-1]
    }
    return Supernet(space, network, matrices)


def resized(inputs: Tensor, resolution: int) -> Tensor:
    """Images (batch, channels, height, width) as squares of `resolution` pixels a side, by the filter of datasets/images.py."""
    if inputs.shape[-2:] == (resolution, resolution):
        return inputs
    return functional.interpolate(inputs, (resolution, resolution), mode="bilinear", antialias=True)


@dataclass(frozen=True)
class _Phase:
    space: ElasticSpace
    """What may be chosen: the space with fewer choices."""
    steps: int
    networks: int
    rate: float
    opens_expansion: bool = False
    """Whether expansions become a choice with it."""


def train_supernet(
    made: Supernet, examples: Examples, recipe: SupernetTraining, streams: Streams, progress: Progress | None = None
) -> None:
    """Trains a supernet in place on all examples given, by progressive shrinking."""
    batches = _batches(len(examples.targets), recipe.batch_size, streams.numpy("supernet", "batches"))
    generator = streams.numpy("supernet", "networks")
    teacher: MobileNetwork | None = None
    made.network.train()
    done = 0
    for number, phase in enumerate(_phases(made.space, recipe)):
        if number == 1:
            teacher = deepcopy(made.network).eval().requires_grad_(False)
        if phase.opens_expansion:
            sort_channels(made.network)
        optimizer = torch.optim.Adam(made.parameters(), lr=phase.rate)
        for step in range(phase.steps):
            optimizer.param_groups[0]["lr"] = 0.5 * phase.rate * (1 + cos(pi * step / phase.steps))
            batch = next(batches)
            chosen = [random_subnetwork(phase.space, generator) for _ in range(phase.networks)]
            optimizer.zero_grad()
            for choice in chosen:
                supernet_backward(made, choice, examples.inputs[batch], examples.targets[batch], teacher, recipe.distillation)
            optimizer.step()
            done += 1
            if progress is not None:
                progress(done, recipe.total)
    made.network.eval()


def supernet_backward(
    made: Supernet, choice: SubNetwork, inputs: Tensor, targets: Tensor, teacher: nn.Module | None, distillation: float
) -> None:
    """Adds the gradient of one network's loss to those of the supernet."""
    logits = made.logits(choice, inputs)
    loss = functional.cross_entropy(logits, targets)
    if teacher is not None and distillation:
        with torch.no_grad():
            taught = functional.softmax(teacher(resized(inputs, choice.resolution)), dim=1)
        loss = loss + distillation * functional.cross_entropy(logits, taught)
    loss.backward()  # type: ignore[no-untyped-call]  # torch's stubs


def accuracy(made: Supernet, choice: SubNetwork, examples: Examples) -> float:
    """The share of examples that a network, with the shared weights, tells right."""
    made.network.eval()
    return share_right(lambda inputs: made.logits(choice, inputs), examples)


@torch.no_grad()
def share_right(logits: Callable[[Tensor], Tensor], examples: Examples) -> float:
    """The share of examples whose largest logit is that of their class."""
    right = 0
    for start in range(0, len(examples.targets), _BATCH):
        found = logits(examples.inputs[start : start + _BATCH]).argmax(1)
        right += int((found == examples.targets[start : start + _BATCH]).sum())
    return right / len(examples.targets)


def _phases(space: ElasticSpace, recipe: SupernetTraining) -> Iterator[_Phase]:
    """The largest network of every resolution, then one choice after the other; of depths and expansions first the two largest."""
    now = space.model_copy(update={"kernels": space.kernels[-1:], "depths": space.depths[-1:], "expansions": space.expansions[-1:]})
    yield _Phase(now, recipe.steps, 1, recipe.learning_rate)
    steps = (recipe.kernel_steps, recipe.depth_steps, recipe.expansion_steps)
    for name, total, networks in zip(("kernels", "depths", "expansions"), steps, recipe.networks, strict=True):
        choices, opens = getattr(space, name), name == "expansions"
        first = round(_FIRST_SHARE * total) if name != "kernels" and len(choices) > _LARGEST_TWO else 0
        if first:
            now = now.model_copy(update={name: choices[-_LARGEST_TWO:]})
            yield _Phase(now, first, networks, recipe.shrinking_rate, opens)
        now = now.model_copy(update={name: choices})
        yield _Phase(now, total - first, networks, recipe.shrinking_rate, opens and not first)


def _batches(count: int, size: int, generator: np.random.Generator) -> Iterator[Tensor]:
    """Positions of the examples of each step: a fresh permutation for every epoch, of whole batches."""
    while True:
        order = generator.permutation(count)
        for start in range(0, max(1, count - size + 1), size):
            yield torch.from_numpy(order[start : start + size])
