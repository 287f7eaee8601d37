"""Where does training inside wider networks help a tiny one? A map of NetAug's gain, paired over seeds: `make netaug`.

Tiny networks of three widths learn Fashion-MNIST from many examples or from few, for a short and for a long time, with and without NetAug
(same initial values, same batches), as the released code trains: SGD with Nesterov momentum, warm-up and a cosine, weight decay on
weights alone, label smoothing, width augmentation for the first half, statistics of batch normalisations taken anew at the end. One
pair takes minutes; finished ones are kept in docs/figures/netaug.json and not measured again. Accuracies are of 10,000 test images.
Writes docs/figures/netaug.png and .svg, and the table of docs/netaug.md.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from fedtiny.datasets.fashion_mnist import FashionMnist
from fedtiny.design.netaug import AugmentedNetwork, augmented_network, netaug_backward, sort_channels
from fedtiny.models.augmentation import NetAug
from fedtiny.models.augmented_architecture import Choice
from fedtiny.models.folding import batch_normalized_twin, estimate_statistics
from fedtiny.models.inverted_bottleneck import folded_unit
from fedtiny.models.mobile_architecture import MobileArchitecture, Stem, block
from fedtiny.models.mobile_network import MobileNetwork, build_mobile_network
from fedtiny.randomness import Streams
from fedtiny.reports import style
from fedtiny.results.files import json_text, replace_file
from fedtiny.results.statistics import mean_interval

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "figures" / "netaug.json"
PAGE, BEGIN, END = DOCS / "netaug.md", "<!-- map -->\n", "<!-- end of map -->"
PUBLISHED = {"MobileNetV2-Tiny": (0.75e6, 51.7, 53.3), "MobileNetV2 x0.35": (1.7e6, 56.3, 57.8), "ProxylessNAS x0.35": (1.8e6, 59.1, 60.8)}
"""Parameters, and ImageNet top-1 accuracy without and with NetAug (Cai et al., ICLR 2022, figure 4), %."""
WIDTHS, EXAMPLES, STEPS, SEEDS = (4, 8, 16), (1000, 60000), (500, 2000), (1, 2, 3, 4, 5)
BATCH, RATE, MOMENTUM, DECAY, SMOOTHING, WARM_UP = 64, 0.1, 0.9, 4e-5, 0.1, 0.03
RECIPE = NetAug(width=(1, 1.8, 2.6), expansion=(1, 1.6, 2.2, 2.8))


@dataclass(frozen=True, order=True)
class Case:
    """One place of the map and a seed."""

    width: int
    examples: int
    steps: int
    seed: int


@dataclass(frozen=True)
class Data:
    """Images (examples, 1, 28, 28) in 0..1 and their classes."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def architecture(width: int) -> MobileArchitecture:
    """Four inverted bottlenecks; 2 thousand parameters at width 4, 6 at 8, 22 at 16."""
    blocks = (
        block(width, width, expansion=1, kernel=3, stride=1),
        block(width, 2 * width, expansion=3, kernel=3, stride=2),
        block(2 * width, 2 * width, expansion=3, kernel=3, stride=1),
        block(2 * width, 4 * width, expansion=3, kernel=3, stride=2),
    )
    return MobileArchitecture(
        name="tiny", stem=Stem(out_channels=width, kernel=3, stride=2), blocks=blocks, feature_mix=None, classifier_in=4 * width
    )


def tiny_network(case: Case) -> MobileNetwork:
    """The network of a case; its values depend on its width and the seed."""
    generator = torch.Generator().manual_seed(case.seed)
    return build_mobile_network(architecture(case.width), (1, 28, 28), 10, lite_residual=False, generator=generator, unit=folded_unit)


def batches(case: Case) -> Iterator[tuple[np.ndarray, bool]]:
    """Positions of each step's examples, and whether an epoch begins."""
    draws, order = np.random.default_rng(case.seed), np.empty(0, dtype=int)
    subset = draws.permutation(60000)[: case.examples]
    for _ in range(case.steps):
        begins = len(order) < BATCH
        if begins:
            order = draws.permutation(subset)
        yield order[:BATCH], begins
        order = order[BATCH:]


def rate(step: int, steps: int) -> float:
    """Warm-up, then a cosine to 0."""
    warm = max(1, round(WARM_UP * steps))
    return RATE * (step + 1) / warm if step < warm else RATE / 2 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def optimizer_of(network: nn.Module) -> torch.optim.Optimizer:
    """Weight decay for weights, none for norms and biases."""
    weights = [value for value in network.parameters() if value.ndim > 1]
    others = [value for value in network.parameters() if value.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM, nesterov=True)


def train(case: Case, data: Data, *, netaug: bool) -> tuple[float, float]:
    """Test accuracy and host seconds of one training."""
    start, tiny = time.perf_counter(), tiny_network(case)
    made = augmented_network(tiny, RECIPE, torch.Generator().manual_seed(1000 + case.seed)) if netaug else None
    network = batch_normalized_twin(tiny) if made is None else made.largest
    optimizer, choices = optimizer_of(network.train()), np.random.default_rng(2000 + case.seed)
    for step, (positions, begins) in enumerate(batches(case)):
        inputs, targets = (values[torch.from_numpy(positions)] for values in data.train)

        def loss(logits: Tensor, targets: Tensor = targets) -> Tensor:
            return functional.cross_entropy(logits, targets, label_smoothing=SMOOTHING)

        for group in optimizer.param_groups:
            group["lr"] = rate(step, case.steps)
        optimizer.zero_grad(set_to_none=False)
        if made is None:
            loss(network(inputs)).backward()  # type: ignore[no-untyped-call]
        else:
            widths = step < RECIPE.width_until * case.steps
            if begins and widths:
                sort_channels(network)
            netaug_backward(made, inputs, loss, made.draw(choices, widths=widths))
        optimizer.step()
    seconds = time.perf_counter() - start
    return accuracy(network if made is None else made.export(), case, data), seconds


@torch.no_grad()
def accuracy(network: nn.Module, case: Case, data: Data) -> float:
    """Of a tiny network whose statistics are taken anew from at most 16,000 of its training images."""
    seen = np.random.default_rng(case.seed).permutation(60000)[: min(case.examples, 16000)]
    estimate_statistics(network, (data.train[0][torch.from_numpy(part)] for part in np.array_split(seen, max(1, len(seen) // 500))))
    inputs, targets = data.test
    chosen = torch.cat([network(part).argmax(1) for part in torch.split(inputs, 1000)])
    return float((chosen == targets).double().mean())


def load() -> Data:
    """Fashion-MNIST."""
    dataset = FashionMnist(kind="fashion_mnist").load(Streams(0))
    parts = ((dataset.train_inputs, dataset.train_targets), (dataset.test_inputs, dataset.test_targets))
    train_part, test_part = ((torch.from_numpy(np.array(inputs)), torch.from_numpy(np.array(targets))) for inputs, targets in parts)
    return Data(train_part, test_part)


def rows(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for every place of the map: mean gain in points, its standard error, and what training costs more."""
    places: dict[tuple[int, int, int], list[dict[str, Any]]] = {}
    for one in found:
        places.setdefault((one["width"], one["examples"], one["steps"]), []).append(one)
    made = []
    for (width, examples, steps), pairs in sorted(places.items()):
        gains = [100 * (one["netaug"] - one["plain"]) for one in pairs]
        interval = mean_interval(gains)
        error = float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else None
        plain = 100 * float(np.mean([one["plain"] for one in pairs]))
        cost = float(np.mean([one["netaug_seconds"] / one["plain_seconds"] for one in pairs]))
        place = {"width": width, "examples": examples, "steps": steps, "seeds": len(pairs)}
        mean = None if interval is None else interval.mean
        made.append({**place, "plain_accuracy": plain, "gain_points": mean, "standard_error": error, "times_as_long": cost})
    return made


def work_of_a_step(width: int) -> tuple[float, float]:
    """How many times the multiply-accumulates of a plain step one of NetAug takes: while widths are drawn, and after."""
    case, choices = Case(width, 1000, 500, 1), np.random.default_rng(0)
    made = augmented_network(tiny_network(case), RECIPE, torch.Generator().manual_seed(1))
    own = macs(made, made.own)
    return cast(
        tuple[float, float],
        tuple(1 + float(np.mean([macs(made, made.draw(choices, widths=widths)) for _ in range(100)])) / own for widths in (True, False)),
    )


@torch.no_grad()
def macs(made: AugmentedNetwork, choice: Choice) -> int:
    """Multiply-accumulates of a forward pass of one image, twice as many of a backward pass."""
    with FlopCounterMode(display=False) as counter:
        made.choose(choice, torch.zeros(2, 1, 28, 28))
    return counter.get_total_flops() // 4


def parameters(width: int) -> int:
    """Of a tiny network."""
    return sum(value.numel() for value in tiny_network(Case(width, 1000, 500, 1)).parameters())


def figure(places: list[dict[str, Any]]) -> Figure:
    """Gain over the size of the network, one curve for each amount of data and training; below, the published ones."""
    with style.paper():
        drawn = style.new_figure(style.ONE_COLUMN, 3.2)
        axes = drawn.subplots()
        for turn, (examples, steps) in enumerate(sorted({(one["examples"], one["steps"]) for one in places})):
            rows = [one for one in places if (one["examples"], one["steps"]) == (examples, steps)]
            sizes = [parameters(one["width"]) * (0.94 + 0.04 * turn) for one in rows]
            gains, errors = [one["gain_points"] for one in rows], [2 * (one["standard_error"] or 0.0) for one in rows]
            look = {"color": style.CYCLE[turn], "marker": style.MARKERS[turn], "linestyle": style.DASHES[turn]}
            axes.errorbar(sizes, gains, errors, label=f"{examples:,} images, {steps:,} steps", linewidth=1.0, capsize=2, **look)
        sizes, gains = zip(*((size, after - before) for size, before, after in PUBLISHED.values()), strict=True)
        axes.plot(sizes, gains, linestyle="", marker="*", color=style.SOFT, label="published, ImageNet")
        axes.axhline(0, color=style.SOFT, linewidth=0.8)
        axes.set(xscale="log", xlabel="parameters", ylabel="gain (points, ± 2 standard errors)")
        style.grid(axes)
        drawn.legend(loc="outside upper left")
        return drawn


def table(places: list[dict[str, Any]]) -> str:
    """The map as Markdown."""
    lines = [
        "| parameters | images | steps | plain, % | gain, points | 2 standard errors | seeds | work of a step |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in places:
        error = 2 * (one["standard_error"] or 0.0)
        wide, narrow = work_of_a_step(one["width"])
        star = " *" if abs(one["gain_points"]) > error else ""
        what = f"| {parameters(one['width']):,} | {one['examples']:,} | {one['steps']:,} | {one['plain_accuracy']:.1f}"
        lines.append(f"{what} | {one['gain_points']:+.2f}{star} | {error:.2f} | {one['seeds']} | {wide:.1f} x, then {narrow:.1f} x |")
    return "\n".join(lines) + "\n"


def draw(places: list[dict[str, Any]]) -> None:
    """Writes the figure and the table."""
    drawn = figure(places)
    replace_file(RESULTS.with_suffix(".png"), style.png_bytes(drawn))
    replace_file(RESULTS.with_suffix(".svg"), style.svg_text(drawn).encode())
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    replace_file(PAGE, (before + BEGIN + table(places) + END + rest.partition(END)[2]).encode())


def main() -> None:
    """Measures what is missing and prints the map."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no further pair after so long")
    words = parser.parse_args()
    torch.set_num_threads(1)
    data, start = load(), time.monotonic()
    found = json.loads(RESULTS.read_text(encoding="utf-8"))["pairs"] if RESULTS.exists() else []
    known = {Case(one["width"], one["examples"], one["steps"], one["seed"]) for one in found}
    cases = [Case(width, examples, steps, seed) for steps in STEPS for seed in SEEDS for examples in EXAMPLES for width in WIDTHS]
    for case in (case for case in cases if case not in known):
        if time.monotonic() - start > 60 * words.minutes:
            break
        (plain, plain_seconds), (wider, wider_seconds) = train(case, data, netaug=False), train(case, data, netaug=True)
        found.append({**asdict(case), "plain": plain, "netaug": wider, "plain_seconds": plain_seconds, "netaug_seconds": wider_seconds})
        replace_file(RESULTS, json_text({"pairs": found, "map": rows(found)}).encode())
        print(case, f"{100 * plain:.2f} -> {100 * wider:.2f} %", flush=True)
    for row in rows(found):
        print(row)
    draw(rows(found))


if __name__ == "__main__":
    main()
