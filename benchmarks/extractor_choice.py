"""Does it pay to choose the feature extractor for a data set without back-propagation? `make extractor-choice`.

A supernet learns five kinds of clothes (Fashion-MNIST at 14 pixels, labels 0 to 4). A device then has a few examples of the other five.
It chooses a network of the supernet by nearest class means (design/extractor_choice.py), forward only, within a bound on the memory that
training its head takes; against it stand networks drawn at random whose memory is within 5 % of the chosen one's. Of both, the head alone
is trained on the same examples, from zero, with L-BFGS until it is done. Five seeds draw the examples; accuracy is that of the
5,000 test images of these labels.
"""

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fedtiny.costs.memory import tinytl_memory
from fedtiny.datasets.fashion_mnist import FashionMnist
from fedtiny.design.architecture_constraints import Bound, Constraints, Costs
from fedtiny.design.architecture_search import Evolution, evolve
from fedtiny.design.extractor_choice import features, nearest_mean_score
from fedtiny.design.supernet import Supernet, SupernetTraining, empty_network, supernet, train_supernet
from fedtiny.models.elastic_space import ElasticSpace, ElasticStage, SubNetwork, largest, random_subnetwork
from fedtiny.models.measure import summarize
from fedtiny.randomness import Streams
from fedtiny.results.files import json_text, replace_file
from fedtiny.results.statistics import mean_interval
from fedtiny.training.local import Examples
from fedtiny.updates.last import Last

RESULTS: Final = Path(__file__).parents[1] / "docs" / "figures" / "extractor_choice.json"
SPACE: Final = ElasticSpace(
    stem=16,
    stem_stride=2,
    stages=(ElasticStage(channels=16, stride=1), ElasticStage(channels=24)),
    depths=(1, 2, 3),
    resolutions=(14,),
    feature_mix=64,
)
TRAINING: Final = SupernetTraining(steps=400, kernel_steps=200, depth_steps=200, expansion_steps=300, networks=(1, 2, 2))
SEARCH: Final = Evolution(population=12, generations=4)
SEEDS, EXAMPLES, RANDOM, SEEN, DECAY = 5, 100, 5, 5, 1e-2
MEMORY: Final = 0.6
"""Of what the largest network takes."""


def main() -> None:
    """Measures, writes docs/figures/extractor_choice.json and prints what came of it."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    found = FashionMnist(image_size=14, train_examples=12000).load(Streams(0))
    train, test = (
        Examples(torch.from_numpy(inputs).float(), torch.from_numpy(targets))
        for inputs, targets in ((found.train_inputs, found.train_targets), (found.test_inputs, found.test_targets))
    )
    made = supernet(SPACE, 1, SEEN, torch.Generator().manual_seed(0))
    train_supernet(made, part(train, train.targets < SEEN), TRAINING, Streams(0))
    new, asked = part(train, train.targets >= SEEN), part(test, test.targets >= SEEN)
    rows = [compare(made, new, asked, seed) for seed in range(SEEDS)]
    gains = mean_interval([100 * (row["chosen"] - row["random"]) for row in rows])
    document = {"rows": rows, "gain_points": None if gains is None else {"mean": gains.mean, "half_width": gains.half_width}}
    replace_file(RESULTS, json_text(document).encode())
    print(json_text(document))


def part(examples: Examples, wanted: Tensor) -> Examples:
    """The examples of some labels."""
    return Examples(examples.inputs[wanted], examples.targets[wanted])


def memory(choice: SubNetwork) -> Costs:
    """What training the head takes at a batch of 8, in TinyTL's accounting."""
    summary = summarize(empty_network(SPACE, choice, 1, SEEN), "supernet", (1, 14, 14), SEEN)
    return Costs(summary.forward_macs, summary.parameter_elements, {"memory": tinytl_memory(summary, Last().plan(summary), 8).total_bytes})


def compare(made: Supernet, new: Examples, asked: Examples, seed: int) -> dict[str, Any]:
    """One device's examples: the network chosen for them, and the mean of some drawn at random of equal memory."""
    streams = Streams(seed)
    order = torch.from_numpy(streams.numpy("examples").permutation(len(new.targets))[:EXAMPLES])
    own = Examples(new.inputs[order], new.targets[order])
    known, held = (Examples(own.inputs[place::2], own.targets[place::2]) for place in (0, 1))
    within = Constraints(SPACE, (Bound("memory", MEMORY * memory(largest(SPACE)).needs["memory"], "B", "allow more"),), memory)
    best = evolve(within, nearest_mean_score(made, known, held), SEARCH, streams.numpy("evolution")).best
    needed, generator, drawn = best.costs.needs["memory"], streams.numpy("random"), list[SubNetwork]()
    while len(drawn) < RANDOM:
        one = random_subnetwork(SPACE, generator)
        if abs(within.costs(one).needs["memory"] - needed) <= 0.05 * needed:
            drawn.append(one)
    others = [head_accuracy(made, one, own, asked) for one in drawn]
    return {
        "seed": seed,
        "memory": needed,
        "chosen": head_accuracy(made, best.network, own, asked),
        "random": float(np.mean(others)),
        "each_random": others,
    }


def head_accuracy(made: Supernet, choice: SubNetwork, own: Examples, asked: Examples) -> float:
    """Test accuracy of a network whose head alone was trained on a device's examples."""
    known, told = (features(made, choice, one.inputs).double() for one in (own, asked))
    mean, scale = known.mean(0), known.std(0).clamp_min(1e-9)
    known, told = (known - mean) / scale, (told - mean) / scale
    weight = torch.zeros((known.shape[1] + 1, SEEN), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = functional.cross_entropy(known @ weight[:-1] + weight[-1], own.targets - SEEN) + DECAY / 2 * weight[:-1].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        right = (told @ weight[:-1] + weight[-1]).argmax(1) == asked.targets - SEEN
    return float(right.double().mean())


if __name__ == "__main__":
    main()
