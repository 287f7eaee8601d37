"""What holds for all tests, and the small federations that several folders test with.

Federations run on FedTiny's real path: YAML, Flower messages, virtual time. What imports torch is imported when a federation
runs, so that tests of torch-free folders need no torch.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from hypothesis import settings

if TYPE_CHECKING:
    from fedtiny.federation.grid import VirtualTimeGrid
    from fedtiny.flower_app import ModelVersion
    from fedtiny.preparation import World
    from fedtiny.results.record import RunResult
    from fedtiny.scenario.schema import Scenario

# A test is not wrong because the machine is busy; and CI tries the same examples every time.
settings.register_profile("fedtiny", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("fedtiny")

NETWORKS = '''
import torch
from torch import nn


class Curve(nn.Module):
    """Twenty parameters and a loss that is neither convex nor quadratic."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.last = nn.Linear(4, 1, bias=False)

    def forward(self, inputs):
        return self.last(torch.tanh(self.first(inputs.flatten(1))))

    def loss(self, inputs, targets):
        return ((self(inputs).flatten() - targets) ** 2).mean() * SCALE


class Quadratic(nn.Module):
    """a/2 (w - b)^2 with a and b in the inputs, and c w with c in the targets."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.full((1,), START))

    def forward(self, inputs):
        return self.w.expand(len(inputs), 1)

    def loss(self, inputs, targets):
        a, b = inputs.flatten(1).unbind(1)
        return (a / 2 * (self.w - b) ** 2 + targets * self.w).mean()
'''


@dataclass(frozen=True)
class Trajectory:
    """What an observed run did: weights (steps + 1, clients, parameters), step 0 being w_1, and the run's result."""

    weights: np.ndarray
    result: "RunResult"
    final: np.ndarray


@dataclass(frozen=True)
class Play:
    """A run of the parts themselves: every version of the model and its time, and the grid whose nodes and trace can be looked at."""

    world: "World"
    grid: "VirtualTimeGrid"
    versions: list["ModelVersion"]
    times: list[float]
    observed: dict[tuple[int, int], np.ndarray]
    """(device, step) -> weights."""

    def state(self, device: int) -> Any:
        """What a client's Flower context keeps."""
        return self.grid.nodes[device + 2].context.state


@dataclass(frozen=True)
class Federation:
    """One federation in a folder of its own."""

    folder: Path
    inputs: list[np.ndarray]
    targets: list[np.ndarray]
    network: str
    start: float = 0.0
    scale: float = 1.0
    batch_size: int | str = 4
    precision: str = "float64"

    def write(self) -> None:
        """The network's code and the clients' data, as a user would give them."""
        code = NETWORKS.replace("SCALE", repr(self.scale)).replace("START", repr(self.start))
        (self.folder / "networks.py").write_text(code)
        np.savez(
            self.folder / "data.npz",
            x_train=np.concatenate(self.inputs),
            y_train=np.concatenate(self.targets),
            x_test=self.inputs[0][:1],
            y_test=self.targets[0][:1],
            client_train=np.repeat(np.arange(len(self.inputs)), [len(targets) for targets in self.targets]),
        )

    def scenario(self, strategy: dict[str, Any], *, local_steps: int, rounds: int, rate: float, **overrides: Any) -> dict[str, Any]:
        """The scenario as YAML would say it."""
        return {
            "name": "theory",
            "seed": 5,
            "model": {"kind": "python", "path": "networks.py", "name": self.network},
            "data": {"kind": "npz", "path": "data.npz", "partition": {"kind": "natural"}},
            "training": {
                "batch_size": self.batch_size,
                "local_steps": local_steps,
                "precision": self.precision,
                "optimizer": {"kind": "sgd", "learning_rate": rate},
            },
            "strategy": strategy,
            "fleet": [
                {
                    "count": len(self.inputs),
                    "device": {"kind": "custom", "memory": "1 GB", "step_time": overrides.pop("step_time", "1 s")},
                    "network": {"kind": "custom", "latency": overrides.pop("latency", "0 s")},
                }
            ],
            "stop": {"rounds": rounds},
            "evaluation": {"every": 1000000},
            **overrides,
        }

    def load(self, strategy: dict[str, Any], *, local_steps: int, rounds: int, rate: float = 0.1, **overrides: Any) -> "Scenario":
        """The scenario as it is read from its file."""
        from fedtiny.scenario.files import load_scenario

        self.write()
        path = self.folder / "scenario.yaml"
        path.write_text(yaml.safe_dump(self.scenario(strategy, local_steps=local_steps, rounds=rounds, rate=rate, **overrides)))
        return load_scenario(path)

    def run(self, strategy: dict[str, Any], *, local_steps: int, rounds: int, rate: float = 0.1, **overrides: Any) -> Trajectory:
        """Runs and observes; steps whose correction was cut off by the end are left out for all clients."""
        from fedtiny.experiment import run

        scenario = self.load(strategy, local_steps=local_steps, rounds=rounds, rate=rate, **overrides)
        seen: dict[tuple[int, int], np.ndarray] = {}
        result = run(scenario, observe=_recorder(seen), allow_code=True)
        clients = len(self.inputs)
        steps = 0
        while all((device, steps + 1) in seen for device in range(clients)):
            steps += 1
        first = flat(run(scenario.model_copy(update={"stop": scenario.stop.model_copy(update={"rounds": 0})}), allow_code=True).model)
        weights = np.stack(
            [np.tile(first, (clients, 1))] + [np.stack([seen[device, step] for device in range(clients)]) for step in range(1, steps + 1)]
        )
        return Trajectory(weights, result, flat(result.model))

    def play(
        self, strategy: dict[str, Any], *, local_steps: int, rounds: int, watch: Callable[..., None] | None = None, **overrides: Any
    ) -> Play:
        """Runs on a grid that can be looked at; `watch(message, context, reply)` is called after every piece of work."""
        from fedtiny.federation.flower_internals import server_identity
        from fedtiny.flower_app import client_app_of, serve
        from fedtiny.preparation import prepare

        world = prepare(self.load(strategy, local_steps=local_steps, rounds=rounds, **overrides), allow_code=True)
        seen: dict[tuple[int, int], np.ndarray] = {}
        app = client_app_of(world, _recorder(seen))

        def watched(message: Any, context: Any) -> Any:
            reply = app(message, context)
            if watch is not None:
                watch(message, context, reply)
            return reply

        play = Play(world, grid_that_works_at_once(world, watched), [], [], seen)

        def on_version(version: "ModelVersion") -> None:
            play.versions.append(version)
            play.times.append(play.grid.now)
            play.grid.close_round(version.round)

        with server_identity():
            serve(world, play.grid, on_version)
        return play

    def measure(self, strategy: dict[str, Any], *, local_steps: int, rounds: int, **overrides: Any) -> list[float]:
        """Virtual times (rounds + 1,) of the versions of the model, in seconds."""
        from fedtiny.experiment import run

        scenario = self.load(strategy, local_steps=local_steps, rounds=rounds, **overrides)
        times: list[float] = run(scenario, allow_code=True).rounds["virtual_time"].to_pylist()
        return times

    def gradient(self, client: int, weights: np.ndarray, step: int) -> np.ndarray:
        """The gradient of batch `step` (from 1), computed without FedTiny's trainer."""
        import torch
        from torch import nn

        from fedtiny.randomness import Streams
        from fedtiny.training.batches import Batches

        size = len(self.targets[client]) if self.batch_size == "all" else int(self.batch_size)
        batches = Batches(np.arange(len(self.targets[client])), size, Streams(5), ("group", 0, "device", client))
        chosen = batches.batch(step)
        names: dict[str, Any] = {}
        exec(NETWORKS.replace("SCALE", repr(self.scale)).replace("START", repr(self.start)), names)
        network: nn.Module = names[self.network]().to(torch.float64)
        nn.utils.vector_to_parameters(torch.from_numpy(weights.copy()), network.parameters())
        loss = network.loss(torch.from_numpy(self.inputs[client][chosen]), torch.from_numpy(self.targets[client][chosen]))
        return np.concatenate([part.numpy().ravel() for part in torch.autograd.grad(loss, list(network.parameters()))])


def grid_that_works_at_once(world: "World", app: Callable[..., Any], run_config: dict[str, Any] | None = None) -> "VirtualTimeGrid":
    """The plain twin of a run's grid: the client app is called for every message when the device's processor turns to it."""
    from fedtiny.experiment import virtual_grid
    from fedtiny.federation.client_work import partition_id, steps_done
    from fedtiny.federation.foresight import Course
    from fedtiny.federation.immediate_clients import Effort, ImmediateClients
    from fedtiny.flower_app import learners_of
    from fedtiny.simulated_clients import effort_of
    from fedtiny.simulation.trace import Trace

    courses: dict[int, Course] = {}
    of_steps, strategy, learner_of = effort_of(world), world.blueprint.scenario.strategy, learners_of(world)

    def effort(message: Any, context: Any) -> Effort:
        number, first = partition_id(context), steps_done(context.state) + 1
        steps = strategy.foresee(message.content, courses.setdefault(number, Course(pace=learner_of(number).pace))).steps
        cost = of_steps(number, first, steps)
        return Effort(cost.seconds, cost.macs)

    return virtual_grid(world, ImmediateClients(app, effort, raise_errors=True), Trace(), run_config)


@pytest.fixture
def plain_grid() -> Callable[..., "VirtualTimeGrid"]:
    """Makes the grid of a world whose clients do their work at once, one at a time: (world, client app) -> grid."""
    return grid_that_works_at_once


def _recorder(seen: dict[tuple[int, int], np.ndarray]) -> Callable[..., None]:
    def observe(device: int, step: int, weights: Any) -> None:
        assert (device, step) not in seen, "a step is reported once"
        seen[device, step] = flat(weights)

    return observe


def flat(weights: Any) -> np.ndarray:
    return np.concatenate([np.asarray(value, dtype=np.float64).ravel() for value in weights.values()])


@pytest.fixture
def curve(tmp_path: Path) -> Callable[..., Federation]:
    """Clients with different data of different sizes and a non-linear loss."""

    def make(sizes: Sequence[int] = (7, 12, 9), *, identical: bool = False, **options: Any) -> Federation:
        generator = np.random.default_rng(3)
        folder = tmp_path / f"curve-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        inputs = [generator.normal(size=(size, 1, 1, 3)) for size in sizes]
        targets = [np.sin(x.sum(axis=(1, 2, 3))) + index for index, x in enumerate(inputs)]
        if identical:
            inputs, targets = [inputs[0]] * len(sizes), [targets[0]] * len(sizes)
        return Federation(folder, inputs, targets, "Curve", **options)

    return make


@pytest.fixture
def quadratics(tmp_path: Path) -> Callable[..., Federation]:
    """One-parameter clients f_i = a_i/2 (w - b_i)^2 + c_i w, full batch."""

    def make(a: Sequence[float], b: Sequence[float], c: Sequence[float], start: float, **options: Any) -> Federation:
        folder = tmp_path / f"quadratics-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        inputs = [np.array([[[[ai, bi]]]], dtype=np.float64) for ai, bi in zip(a, b, strict=True)]
        targets = [np.array([ci], dtype=np.float64) for ci in c]
        return Federation(folder, inputs, targets, "Quadratic", start=start, batch_size="all", **options)

    return make


@pytest.fixture
def clock(quadratics: Callable[..., Federation]) -> Federation:
    """Two clients whose learning takes no host time to speak of, to measure virtual time with."""
    return quadratics([1.0, 1.0], [0.0, 1.0], [0.0, 0.0], start=1.0)


@dataclass(frozen=True)
class QuantizedPair:
    """A folded MCUNet with values of no particular kind, and its int8 network; both in float64, for inputs (n, 3, 32, 32)."""

    real: Any
    integer: Any

    def images(self, count: int, *, seed: int = 2) -> Any:
        import torch

        return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def quantize(self, examples: int = 24) -> None:
        """Fills the int8 network anew from the folded one."""
        from fedtiny.design.quantization import quantize

        quantize(self.real, self.integer, self.images(examples))


@pytest.fixture
def quantized_pair() -> QuantizedPair:
    import torch
    from torch import nn

    from fedtiny.models.folding import batch_normalized_twin, estimate_statistics, fold
    from fedtiny.models.mcunet import McuNet5Fps

    stated = {"kind": "mcunet_5fps", "normalization": "folded"}
    models = [McuNet5Fps.model_validate(part) for part in (stated, {**stated, "quantization": {"kind": "int8"}})]
    generator = torch.Generator().manual_seed(3)
    real, integer = (
        model.build((3, 32, 32), 5, lite_residual=False, generator=torch.Generator().manual_seed(1)).double() for model in models
    )
    pair = QuantizedPair(real, integer)
    twin = batch_normalized_twin(real)
    with torch.no_grad():
        for module in twin.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)
    estimate_statistics(twin, [pair.images(8)])
    fold(twin, real)
    pair.quantize()
    return pair
