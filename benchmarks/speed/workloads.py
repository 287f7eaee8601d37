"""The workloads of the speed benchmarks, each said once: everybody who is measured reads it here. No torch in this file.

| name | after | network |
|---|---|---|
| a | FLUTE's LR-MNIST (microsoft/msrflute, README) | logistic regression 784-10, 7,850 parameters |
| b | a microcontroller's network on Fashion-MNIST | MobileNetV2 of width 0.35 at 28 x 28, with group norm |
| c | pfl's CIFAR10 (apple/pfl-research, publications/pfl) | two convolutions, two linear layers, 1,626,442 parameters |
| d | b, with delayed gradient averaging and 64 clients | as b |
| e | b, with FedAsync, and with FedBuff in buffers of ten | as b |

Everything is a plain round of federated averaging, `steps` steps of plain SGD for each of `cohort` clients from the global weights, but
d, where clients keep their own weights, and e, where no two replies start from the same weights: a round of e is as many replies.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
SYNTHETIC: Final = "synthetic"
_NEVER: Final = 10**9
BUFFER: Final = 10
"""Replies that make a version of FedBuff's."""
MIXING: Final = 0.6
"""What a fresh reply counts in FedAsync."""


@dataclass(frozen=True)
class Workload:
    """One round's work, and the data it is done on."""

    name: str
    title: str
    population: int
    cohort: int
    steps: int
    batch_size: int
    examples: int
    """Training examples of each client: a whole number of batches."""
    image: tuple[int, int, int]
    """Shape of an input, (channels, height, width)."""
    learning_rate: float
    model: dict[str, Any]
    data: str = SYNTHETIC
    update: str = "full"
    strategy: str = "fedavg"
    rounds_per_block: int = 1
    """Rounds that are timed together, so that a block takes about a second or more."""
    peers: bool = False
    """Whether pfl and Flower do it too."""

    @property
    def versions(self) -> int:
        """Versions of the model that a round makes."""
        return {"fedasync": self.cohort, "fedbuff": self.cohort // BUFFER}.get(self.strategy, 1)

    @property
    def samples(self) -> int:
        """Samples that a round trains on."""
        return self.cohort * self.steps * self.batch_size


_LINEAR: Final = {"kind": "linear"}
_DEPTHWISE: Final = {"kind": "mobilenet_v2_w035"}
_CIFAR_CNN: Final = {"kind": "python", "path": str(HERE / "networks.py"), "name": "CifarCnn"}


def _logistic() -> Workload:
    return Workload(
        name="a",
        title="logistic regression, 7.9 k parameters",
        population=1000,
        cohort=10,
        steps=6,
        batch_size=10,
        examples=60,
        image=(1, 28, 28),
        learning_rate=0.03,
        model=_LINEAR,
        rounds_per_block=100,
        peers=True,
    )


def _cifar() -> Workload:
    return Workload(
        name="c",
        title="CIFAR CNN, 1.63 M parameters",
        population=1000,
        cohort=50,
        steps=5,
        batch_size=10,
        examples=50,
        image=(3, 32, 32),
        learning_rate=0.1,
        model=_CIFAR_CNN,
        peers=True,
    )


_TITLES: Final = {"dga": ", DGA", "fedasync": ", FedAsync", "fedbuff": ", FedBuff"}


def _depthwise(update: str, strategy: str, population: int, name: str) -> Workload:
    clients = 64 if strategy == "dga" else 50
    return Workload(
        name=name,
        title=f"MobileNetV2 x0.35, {update}" + _TITLES.get(strategy, ""),
        population=population,
        cohort=clients,
        steps=6,
        batch_size=10,
        examples=60,
        image=(1, 28, 28),
        learning_rate=0.02,
        model=_DEPTHWISE,
        data="fashion_mnist",
        update=update,
        strategy=strategy,
        rounds_per_block=5 if update == "last" else 1,
    )


WORKLOADS: Final = {
    item.name: item
    for item in (
        _logistic(),
        *(_depthwise(update, "fedavg", 50, f"b-{update}") for update in ("full", "tinytl", "bias", "last")),
        _depthwise("last", "fedavg", 1000, "b-last-cold"),
        _cifar(),
        *(_depthwise(update, "dga", 64, f"d-{update}") for update in ("full", "tinytl", "bias", "last")),
        *(_depthwise(update, "fedasync", 50, f"e-{update}") for update in ("full", "tinytl", "bias", "last")),
        *(_depthwise(update, "fedbuff", 50, f"e-{update}-buffer") for update in ("full", "tinytl", "bias", "last")),
    )
}
"""All of them by name. In b-last-cold almost every client of a round is new, so that nothing has been computed before."""


def scenario(workload: Workload, rounds: int) -> dict[str, Any]:
    """The workload as FedTiny's YAML says it; it is evaluated at its beginning and end only, on few examples."""
    channels, side, _ = workload.image
    examples = workload.population * workload.examples
    if workload.data == SYNTHETIC:
        data = {"kind": SYNTHETIC, "examples": examples, "test_examples": 100, "image_size": side, "channels": channels}
    else:
        data = {"kind": workload.data, "train_examples": examples, "test_examples": 100}
    strategy = {
        "fedavg": {"kind": "fedavg", "fraction_train": workload.cohort / workload.population},
        "dga": {"kind": "dga", "delay": workload.steps},
        "fedasync": {"kind": "fedasync", "mixing": MIXING},
        "fedbuff": {"kind": "fedbuff", "buffer": BUFFER},
    }[workload.strategy]
    return {
        "name": f"benchmark_{workload.name}",
        "seed": 1,
        "model": workload.model,
        "data": {**data, "partition": {"kind": "iid"}},
        "training": {
            "batch_size": workload.batch_size,
            "local_steps": workload.steps,
            "optimizer": {"kind": "sgd", "learning_rate": workload.learning_rate},
        },
        "update": {"kind": workload.update},
        "strategy": strategy,
        "fleet": [
            {
                "count": workload.population,
                "device": {"kind": "custom", "memory": "8 GB", "step_time": "100 ms"},
                "network": {"kind": "custom", "latency": "50 ms"},
            }
        ],
        "stop": {"rounds": rounds * workload.versions},
        "evaluation": {"every": _NEVER},
    }
