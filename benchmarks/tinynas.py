"""Is the search worth it? Evolution against random search, and the supernet's ranking against networks trained alone: `make tinynas`.

One supernet learns small images of clothes (Fashion-MNIST at 14 pixels). Then, over five seeds, evolution and random search look at as
many networks each, within the same bound on multiply-accumulates: once with children drawn again that were evaluated before, once as
published. And networks drawn at random are trained alone, from random values, to see whether the supernet ranks them as that does:
Kendall's tau-b, with its p-value by permutations. Validation examples are those that scores are computed on; test accuracy is of 10,000
other images.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from fedtiny.datasets.fashion_mnist import FashionMnist
from fedtiny.design.architecture_constraints import Bound, Constraints, Costs
from fedtiny.design.architecture_search import Evolution, evolve, random_search
from fedtiny.design.supernet import Supernet, SupernetTraining, accuracy, empty_network, share_right, supernet, train_supernet
from fedtiny.models.elastic_space import ElasticSpace, ElasticStage, SubNetwork, encode, largest, random_subnetwork, smallest
from fedtiny.models.initialization import initialize
from fedtiny.models.measure import summarize
from fedtiny.randomness import Streams
from fedtiny.results.files import json_text, replace_file
from fedtiny.training.local import Examples

RESULTS: Final = Path(__file__).parents[1] / "docs" / "figures" / "tinynas.json"
PERMUTATIONS: Final = 20_000


@dataclass(frozen=True)
class Trial:
    """How much is done."""

    space: ElasticSpace
    training: SupernetTraining
    search: Evolution
    examples: int
    """Of the training set, a fifth of them for validation."""
    size: int
    """Pixels a side."""
    networks: int
    """Trained alone, the smallest and the largest among them."""
    alone_steps: int
    seeds: int
    bound: float = 0.4
    """Of the largest network's multiply-accumulates: what networks may take."""
    rate: float = 3e-3
    batch_size: int = 64


FULL: Final = Trial(
    space=ElasticSpace(
        stem=16,
        stem_stride=2,
        stages=(ElasticStage(channels=16, stride=1), ElasticStage(channels=24)),
        depths=(1, 2, 3),
        resolutions=(14,),
        feature_mix=64,
    ),
    training=SupernetTraining(steps=500, kernel_steps=250, depth_steps=250, expansion_steps=400, networks=(1, 2, 4)),
    search=Evolution(population=20, generations=7, fresh_draws=20),
    examples=6000,
    size=14,
    networks=18,
    alone_steps=300,
    seeds=5,
)


@dataclass(frozen=True)
class Data:
    """What is learnt from, what networks are compared on, and what nobody has seen."""

    learning: Examples
    validation: Examples
    test: Examples


def load(trial: Trial) -> Data:
    """Fashion-MNIST, a part of it, resized."""
    found = FashionMnist(image_size=trial.size, train_examples=trial.examples).load(Streams(0))
    inputs, targets = torch.from_numpy(found.train_inputs).float(), torch.from_numpy(found.train_targets)
    held = trial.examples // 5
    test = Examples(torch.from_numpy(found.test_inputs).float(), torch.from_numpy(found.test_targets))
    return Data(Examples(inputs[held:], targets[held:]), Examples(inputs[:held], targets[:held]), test)


def measure(trial: Trial, data: Data) -> dict[str, Any]:
    """All of it."""
    made = supernet(trial.space, 1, 10, torch.Generator().manual_seed(0))
    train_supernet(made, data.learning, trial.training, Streams(0))
    return {"search": searches(trial, data, made), "ranking": ranking(trial, data, made)}


def constraints(trial: Trial) -> Constraints:
    """At most a share of the largest network's multiply-accumulates."""

    def price(choice: SubNetwork) -> Costs:
        network = empty_network(trial.space, choice, 1, 10)
        summary = summarize(network, "tinynas", (1, choice.resolution, choice.resolution), 10)
        return Costs(summary.forward_macs, summary.parameter_elements, {"work": summary.forward_macs / rate})

    rate = 1e6
    most = trial.bound * price(largest(trial.space)).macs / rate
    return Constraints(trial.space, (Bound("work", most, "s", "allow more"),), price)


def searches(trial: Trial, data: Data, made: Supernet) -> list[dict[str, float]]:
    """For each seed, the best of evolution and of random search with as many evaluations: on validation and on test examples."""
    within, known, rows = constraints(trial), dict[SubNetwork, float](), []

    def score(choice: SubNetwork) -> float:
        if choice not in known:
            known[choice] = accuracy(made, choice, data.validation)
        return known[choice]

    for seed, fresh in [(seed, fresh) for fresh in (trial.search.fresh_draws, 0) for seed in range(trial.seeds)]:
        streams, settings = Streams(seed), trial.search.model_copy(update={"fresh_draws": fresh})
        evolved = evolve(within, score, settings, streams.numpy("evolution"))
        drawn = random_search(within, score, len(evolved.evaluated), streams.numpy("random search"))
        rows.append(
            {
                "seed": seed,
                "fresh_draws": fresh,
                "evaluations": len(evolved.evaluated),
                "evolved": evolved.best.score,
                "random": drawn.best.score,
                "evolved_test": accuracy(made, evolved.best.network, data.test),
                "random_test": accuracy(made, drawn.best.network, data.test),
            }
        )
    return rows


def ranking(trial: Trial, data: Data, made: Supernet) -> dict[str, Any]:
    """Networks with the shared weights and trained alone, and Kendall's tau of the two."""
    generator = Streams(1).numpy("ranking")
    choices = list({encode(trial.space, one): one for one in (smallest(trial.space), largest(trial.space))}.values())
    while len(choices) < trial.networks:
        one = random_subnetwork(trial.space, generator)
        choices += [] if one in choices else [one]
    rows = [
        {"number": encode(trial.space, one), "shared": accuracy(made, one, data.test), "alone": alone(trial, data, one)} for one in choices
    ]
    shared, own = [row["shared"] for row in rows], [row["alone"] for row in rows]
    return {"networks": rows, "kendall_tau": kendall_tau(shared, own), "p_value": p_value(shared, own)}


def alone(trial: Trial, data: Data, choice: SubNetwork) -> float:
    """Test accuracy of a network trained by itself, from random values, with Adam along a cosine."""
    network = empty_network(trial.space, choice, 1, 10)
    initialize(network, torch.Generator().manual_seed(7))
    optimizer = torch.optim.Adam(network.parameters(), lr=trial.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, trial.alone_steps)
    draws = Streams(2).numpy("alone")
    for _ in range(trial.alone_steps):
        batch = torch.from_numpy(draws.integers(len(data.learning.targets), size=trial.batch_size))
        optimizer.zero_grad()
        functional.cross_entropy(network(data.learning.inputs[batch]), data.learning.targets[batch]).backward()
        optimizer.step()
        schedule.step()
    return share_right(network.eval(), data.test)


def kendall_tau(first: list[float], second: list[float]) -> float:
    """Kendall's tau-b: of all pairs that neither ties, how many more are ranked alike than not."""
    pairs = [(np.sign(first[i] - first[j]), np.sign(second[i] - second[j])) for i, j in combinations(range(len(first)), 2)]
    alike = sum(one * other for one, other in pairs)
    untied = np.sqrt(sum(one != 0 for one, _ in pairs) * float(sum(other != 0 for _, other in pairs)))
    return float(alike / untied) if untied else 0.0


def p_value(first: list[float], second: list[float]) -> float:
    """The share of permutations whose tau is at least as large, the one that was found among them."""
    found, generator = kendall_tau(first, second), np.random.default_rng(0)
    one = np.sign(np.subtract.outer(first, first))
    order = [generator.permutation(len(second)) for _ in range(PERMUTATIONS)]
    other = np.sign(np.subtract.outer(second, second))
    norm = np.sqrt((one != 0).sum() * float((other != 0).sum()))
    larger = sum((one * other[np.ix_(places, places)]).sum() / norm >= found - 1e-12 for places in order)
    return float((1 + larger) / (1 + PERMUTATIONS))


def main() -> None:
    """Measures, writes docs/figures/tinynas.json and prints what came of it."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    found = measure(FULL, load(FULL))
    replace_file(RESULTS, json_text({"trial": {**asdict(FULL), "space": None, "training": None, "search": None}, **found}).encode())
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
