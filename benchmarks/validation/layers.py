"""Layers of published networks, counted once from timm and torchvision and kept in data/layers.csv, so that nobody needs them to
predict times.

    pip install --editable '.[validation]' && python benchmarks/validation/layers.py

makes the file again. Rows are layers that are alike, and how many a network has of them; the order of layers is not kept, nor which of
the earlier ones each depends on, because time asks only whether anything before a layer trains.
"""

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts

DATA: Final = Path(__file__).parent / "data"
FILE: Final = DATA / "layers.csv"
COLUMNS: Final = (
    *("model", "count", "operator", "rate_class", "groups", "macs", "weights", "biases", "inputs", "outputs", "upstream", "head"),
)
CLASSES: Final = 1000
SHAPE: Final = (3, 224, 224)

# What timm calls the networks of the measurements (conf/model/*.yaml of the source); the others have the same name there. timm has no
# FasterViT.
TIMM_NAMES: Final = {
    "vit_tiny": "vit_tiny_patch16_224",
    "vit_small": "vit_small_patch16_224",
    "vit_base": "vit_base_patch16_224",
    "deit_tiny": "deit_tiny_patch16_224",
    "deit_base": "deit_base_patch16_224",
    "maxvit_tiny": "maxvit_tiny_tf_224",
    "swin_tiny": "swin_tiny_patch4_window7_224",
}
OF_TORCHVISION: Final[dict[str, dict[str, bool]]] = {
    "alexnet": {},
    "googlenet": {"aux_logits": False, "init_weights": False},
    "squeezenet1_0": {},
}
NOT_IN_TIMM: Final = ("faster_vit_0", "faster_vit_2", "faster_vit_3")


def known_networks() -> dict[str, ModelSummary]:
    """The networks of data/layers.csv by name."""
    found: dict[str, list[LayerFacts]] = {}
    with FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            layers = found.setdefault(row["model"], [])
            layers.extend([_layer(row, len(layers) + place) for place in range(int(row["count"]))])
    return {name: ModelSummary(name, SHAPE, CLASSES, tuple(layers)) for name, layers in found.items()}


def published_network(name: str) -> ModelSummary:
    """The layers of a network of timm, by the name that the measurements give it or by timm's own, or of torchvision."""
    import timm  # type: ignore[import-not-found,import-untyped,unused-ignore]
    import torchvision  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from fedtiny.models.measure import summarize

    if name in OF_TORCHVISION:
        network = torchvision.models.get_model(name, **OF_TORCHVISION[name])
    else:
        network = timm.create_model(TIMM_NAMES.get(name, name), pretrained=False, num_classes=CLASSES)
    return summarize(network, name, SHAPE, CLASSES, running_statistics=True)


def rows_of(summary: ModelSummary) -> Iterator[tuple[Any, ...]]:
    """The rows of a network's layers; the first is that of its first layer with parameters, on which all later ones depend."""
    first = next(layer for layer in summary.layers if layer.parameters)
    alike = Counter(map(_kind, (first, *(layer for layer in summary.layers if layer is not first))))
    yield from ((summary.model, count, *kind) for kind, count in alike.items())


def _kind(layer: LayerFacts) -> tuple[Any, ...]:
    sizes = [sum(one.elements for one in layer.parameters if one.role == role) for role in ("weight", "bias")]
    cost = (layer.operator, layer.rate_class or "", layer.groups, layer.macs)
    return (*cost, *sizes, layer.input_elements, layer.output_elements, int(bool(layer.upstream)), int(layer.section == "head"))


def _layer(row: dict[str, str], place: int) -> LayerFacts:
    sizes = {"weight": int(row["weights"]), "bias": int(row["biases"])}
    return LayerFacts(
        name=str(place),
        operator=row["operator"],  # type: ignore[arg-type]
        section="head" if row["head"] == "1" else "backbone",
        input_elements=int(row["inputs"]),
        output_elements=int(row["outputs"]),
        groups=int(row["groups"]),
        macs=int(row["macs"]),
        rate_class=row["rate_class"] or None,  # type: ignore[arg-type]
        parameters=tuple(ParameterFacts(f"{place}.{role}", size, role) for role, size in sizes.items() if size),  # type: ignore[arg-type]
        residual_elements=0,
        upstream=(0,) if row["upstream"] == "1" else (),
        final_in_lite=False,
    )


def write(names: Iterable[str]) -> None:
    """Counts the layers of these networks and writes data/layers.csv."""
    with FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name in names:
            writer.writerows(rows_of(published_network(name)))


if __name__ == "__main__":
    with (DATA / "raspberry_pi_4.csv").open(encoding="utf-8", newline="") as measured:
        wanted = [row["model"] for row in csv.DictReader(measured) if row["model"] not in NOT_IN_TIMM]
    write(sys.argv[1:] or [*wanted, "vit_small", *OF_TORCHVISION])
