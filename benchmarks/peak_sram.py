"""Peak SRAM of the published networks: what costs/mcu_memory.py predicts, beside what Lin et al. measured (arXiv 2206.15472).

    python benchmarks/peak_sram.py            the tables of docs/mcu_memory.md, in seconds

At 3x128x128 with 10 classes and batch 1; kB are 1024 bytes, as there.
"""

import functools
from collections.abc import Iterator

import torch

from fedtiny.costs.extra_memory import extra_memory
from fedtiny.costs.mcu_memory import Widths, mcu_memory
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.measure import summarize
from fedtiny.models.summary import ModelSummary
from fedtiny.updates.base import Update
from fedtiny.updates.full import Full
from fedtiny.updates.published_sparse import PUBLISHED, SchemeName, published_for
from fedtiny.updates.sparse import Sparse

SHAPE = (3, 128, 128)
CLASSES = 10
MODELS = {"mobilenet_v2_w035": MobileNetV2W035, "proxylessnas_w03": ProxylessNasW03, "mcunet_5fps": McuNet5Fps}

MEASURED: dict[str, tuple[int, int, int]] = {
    "mobilenet_v2_w035": (2939, 335, 141),
    "proxylessnas_w03": (2745, 326, 135),
    "mcunet_5fps": (3650, 560, 173),
}
"""kB of the full update, of a sparse one, and of the same with operators reordered."""

ASSUMED: dict[str, SchemeName] = {
    "mobilenet_v2_w035": "mobilenet_v2_w035_99kb",
    "proxylessnas_w03": "proxylessnas_w03_98kb",
    "mcunet_5fps": "mcunet_5fps_148kb",
}
"""The scheme that a label is taken to be of; the paper does not say."""

MEASURED_OF_MCUNET: dict[SchemeName, tuple[int, int]] = {
    "mcunet_5fps_99kb": (488, 134),
    "mcunet_5fps_124kb": (509, 160),
    "mcunet_5fps_148kb": (560, 173),
}
"""Without and with reordering, of the three schemes with 72.0, 73.4 and 75.1 % accuracy; which they are is assumed."""

FLOAT_GRADIENTS = Widths(activation_gradient=4, weight_gradient=0, waiting_gradient=4)


@functools.cache
def summary_of(kind: str) -> ModelSummary:
    """The facts of a published network, folded."""
    model = MODELS[kind](normalization="folded")
    network = model.build(SHAPE, CLASSES, lite_residual=False, generator=torch.Generator().manual_seed(0))
    return summarize(network, kind, SHAPE, CLASSES)


def peak(kind: str, update: Update, *, reordering: bool, patches: bool = True, widths: Widths | None = None) -> float:
    """Predicted peak in kB."""
    summary = summary_of(kind)
    ledger = mcu_memory(summary, update.plan(summary), 1, reordering=reordering, patches=patches, widths=widths)
    return ledger.total_bytes / 1024


def against(predicted: float, measured: int | None) -> str:
    """A prediction with its error."""
    return f"{predicted:.0f}" if measured is None else f"{predicted:.0f} ({predicted / measured - 1:+.1%})"


def scheme_rows() -> Iterator[list[str]]:
    """Every published scheme: extra memory, peak without and with reordering; the assumed ones with their errors."""
    for kind, (_, without, reordered) in MEASURED.items():
        for name in published_for(kind):
            update, assumed = Sparse(scheme=name), name == ASSUMED[kind]
            extra = extra_memory(summary_of(kind), update.plan(summary_of(kind))).kilobytes
            yield [
                f"**{name}**" if assumed else name,
                f"{extra:.2f}",
                against(peak(kind, update, reordering=False), without if assumed else None),
                against(peak(kind, update, reordering=True), reordered if assumed else None),
                f"{peak(kind, update, reordering=True, patches=False):.0f}",
                f"{peak(kind, update, reordering=False, widths=FLOAT_GRADIENTS):.0f}",
                f"{peak(kind, update, reordering=True, widths=FLOAT_GRADIENTS):.0f}",
            ]
        yield [f"measured, {kind}", "", str(without), str(reordered), "", "", ""]


def mcunet_rows() -> Iterator[list[str]]:
    """The three schemes of MCUNet whose peak was measured."""
    for name, (without, reordered) in MEASURED_OF_MCUNET.items():
        update, kind = Sparse(scheme=name), PUBLISHED[name].model
        yield [
            name,
            str(without),
            against(peak(kind, update, reordering=False), without),
            str(reordered),
            against(peak(kind, update, reordering=True), reordered),
        ]


def full_rows() -> Iterator[list[str]]:
    """The full update, without reordering."""
    for kind, (measured, _, _) in MEASURED.items():
        yield [
            kind,
            str(measured),
            against(peak(kind, Full(), reordering=False), measured),
            against(peak(kind, Full(), reordering=False, widths=FLOAT_GRADIENTS), measured),
        ]


def table(header: list[str], rows: Iterator[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables() -> str:
    """All tables, as docs/mcu_memory.md has them."""
    return "\n\n".join(
        [
            table(
                ["scheme", "extra", "without", "reordered", "reordered, no patches", "without, fp32", "reordered, fp32"],
                scheme_rows(),
            ),
            table(["MCUNet", "measured without", "predicted", "measured reordered", "predicted"], mcunet_rows()),
            table(["full update", "measured", "predicted", "predicted, fp32"], full_rows()),
        ]
    )


if __name__ == "__main__":
    print(tables())
