"""What a prepared world is, bit by bit: two worlds of the same identity train the same packages to the same bits.

Everything that determines how local work is done is in it: versions, FedTiny's own code, this machine's kind of processor, the
scenario's seed, model and training, the network's values, the layout of what trains, and the data. What only takes time (devices,
networks, the strategy) is not. It is the key of a journal of finished work, and what worker processes compare before they start.
"""

import hashlib
import json
import platform
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from fedtiny.errors import ScenarioError
from fedtiny.flower_app import learners_of
from fedtiny.models.base import Model
from fedtiny.models.given_network import GivenNetwork
from fedtiny.models.python_network import PythonNetwork
from fedtiny.preparation import World
from fedtiny.training.journal import digest_of, key_of
from fedtiny.training.local import Examples

_CODE = ("training", "models", "updates", "datasets", "randomness.py")

Identity = dict[str, str]
"""By aspect (`versions`, `processor`, `network` ...), a text or a digest that differs where the aspect does."""


def world_identity(world: World) -> Identity:
    """The identity of a world that is as `prepare` made it.

    Raises ScenarioError for a network that was given from Python: nothing tells it from another one.
    """
    scenario, plans = world.blueprint.scenario, world.blueprint
    _refuse_nameless(scenario.model)
    return {
        "versions": " ".join(f"{package} {version(package)}" for package in ("fedtiny", "numpy", "torch")),
        "code": _code(),
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} {_processor_name()}",
        "seed": str(scenario.seed),
        "model": json.dumps(scenario.model.to_plain(), sort_keys=True, default=str) + _file_of(scenario.model),
        "training": json.dumps(scenario.training.to_plain(), sort_keys=True, default=str),
        "network": _network(plans.network),
        "layout": key_of(repr(world.flat.layout)),
        "train data": _examples(world.train),
        "test data": _examples(world.test),
    }


def identity_key(identity: Identity) -> bytes:
    """32 bytes for an identity."""
    return bytes.fromhex(key_of(*(part for name in sorted(identity) for part in (name, identity[name]))))


def differing(one: Identity, other: Identity) -> list[str]:
    """The aspects in which two identities differ, each with both texts where they are short enough to be read."""
    names = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
    return [f"{name} ({one.get(name, '')[:80]} here, {other.get(name, '')[:80]} there)" for name in sorted(names)]


def data_of_clients(world: World) -> Callable[[int], bytes]:
    """What identifies the data of a client and what it trains of the network, by its number."""
    learner_of = learners_of(world)

    @cache
    def data_of(number: int) -> bytes:
        learner = learner_of(number)
        batches, own = learner.batches, b"all" if learner.part is None else digest_of(learner.part.positions)
        return bytes.fromhex(key_of(digest_of(batches.indices), batches.batch_size, repr(batches.path), batches.streams.seed, own))

    return data_of


def _refuse_nameless(model: Model) -> None:
    if isinstance(model, GivenNetwork):
        raise ScenarioError(
            "a network that is given from Python is known to this process alone: name it in the scenario, "
            "model: {kind: python, path, name}, to train it in worker processes or with a journal",
            ("model",),
        )


def _file_of(model: Model) -> str:
    """What the file of a user's network is; what that file imports is not looked at."""
    return hashlib.sha256(Path(model.path).read_bytes()).hexdigest() if isinstance(model, PythonNetwork) else ""


@cache
def _code() -> str:
    package, digest = Path(__file__).parent, hashlib.sha256()
    for name in _CODE:
        place = package / name
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            digest.update(f"{path.relative_to(package).as_posix()} ".encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def _processor_name() -> str:
    """The processor's name where the system says it: kernels are chosen by it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def _network(network: torch.nn.Module) -> str:
    """Every value, frozen or not, and what the modules say of themselves."""
    values = ((name, digest_of(value.numpy(force=True))) for name, value in network.state_dict().items())
    return key_of(repr(network), *(part for pair in values for part in pair))


def _examples(examples: Examples) -> str:
    return key_of(digest_of(examples.inputs.numpy(force=True)), digest_of(examples.targets.numpy(force=True)))
