"""What training a network takes of a device's memory, in every accounting, under one update or under all of them side by side."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from fedtiny.costs.autograd_memory import autograd_memory
from fedtiny.costs.ledger import Ledger, Moment, ledger_of
from fedtiny.costs.mcu_memory import mcu_memory
from fedtiny.costs.memory import tinytl_memory
from fedtiny.costs.memory_table import MEASURED, SchemeMemory, memory_table
from fedtiny.costs.paging import paged_bytes, paging_seconds
from fedtiny.errors import ModelError, ScenarioError
from fedtiny.fleet.catalog import load_device
from fedtiny.fleet.device import DeviceProfile
from fedtiny.models.base import Model
from fedtiny.models.measure import summarize
from fedtiny.models.python_network import PythonNetwork
from fedtiny.models.seeded import build_seeded
from fedtiny.models.step import StepFacts
from fedtiny.models.summary import ModelSummary
from fedtiny.models.watch_step import batches_of_zeros, watch_step
from fedtiny.reports.quantities import number, seconds, size
from fedtiny.scenario.choices import AnyModel, AnyStrategy, AnyUpdate
from fedtiny.scenario.files import read_part
from fedtiny.scenario.tree import dump_tree, parse_tree
from fedtiny.strategies.base import Strategy
from fedtiny.training.local import FlatNetwork
from fedtiny.training.measured_cost import measured_memory
from fedtiny.training.one_thread import one_thread
from fedtiny.training.optimizer import Optimizer
from fedtiny.updates.base import Update
from fedtiny.updates.layout import layout_of
from fedtiny.updates.plan import UpdatePlan
from fedtiny.updates.published_sparse import published_for
from fedtiny.updates.schemes import SCHEMES
from fedtiny.updates.sparse import Sparse

Shape = tuple[int, int, int]
Accounting = Literal["tinytl", "mcu", "autograd"]
ACCOUNTINGS: Final[tuple[Accounting, ...]] = ("tinytl", "mcu", "autograd")
_MOST_ELEMENTS: Final = 2**22
_MOST_CLASSES: Final = 10**6
_MOST_OF_THE_MACHINE: Final = 0.5


@dataclass(frozen=True)
class MemoryQuestion:
    """What is asked on the command line, word for word: parts are YAML, `input_shape` is "channels,height,width"."""

    model: str
    update: str | None = None
    """None: every scheme that the network can be trained with."""
    batch_size: int = 8
    input_shape: str = "3,224,224"
    classes: int = 10
    lite_residual: bool | None = None
    accounting: Accounting | None = None
    """None: all of them, and the items of tinytl."""
    optimizer: str = "sgd"
    strategy: str | None = None
    """None: a strategy that keeps nothing on the device."""
    local_steps: int = 1
    measure: bool = False
    """Whether a real step is taken and measured, too."""
    allow_code: bool = False
    device: str | None = None
    """A device of the catalog whose memory it is held against."""


@dataclass(frozen=True)
class MemoryAnswer:
    """What training takes."""

    document: dict[str, Any]
    """The document of `fedtiny memory --json`."""
    schemes: list[SchemeMemory]

    def steps(self) -> list[tuple[str, str, Ledger]]:
        """(scheme, accounting, ledger) for every ledger that knows the moments of its step."""
        return [
            (scheme.plan.scheme, accounting, ledger)
            for scheme in self.schemes
            for accounting, ledger in scheme.ledgers.items()
            if accounting in ACCOUNTINGS
        ]


@one_thread()
def memory_answer(asked: MemoryQuestion) -> MemoryAnswer:
    """Answers it; raises ScenarioError or ModelError, naming the argument."""
    part: Model = read_part(_with_lite_residual(asked.model, asked.lite_residual), AnyModel, "MODEL")
    if isinstance(part, PythonNetwork) and not asked.allow_code:
        raise ScenarioError(f"MODEL: {part.path} is code of your own, which runs only if you allow it: add --allow-code")
    forms = _Forms(part, _shape(asked.input_shape), _classes(asked.classes))
    bill = _Bill(asked, read_part(asked.optimizer, Optimizer, "--optimizer"), _client_vectors(asked))
    wanted = [read_part(asked.update, AnyUpdate, "--update")] if asked.update else [*SCHEMES, *_published(part)]
    schemes = [bill.scheme(forms, forms.form(update), plan) for update, plan in _planned(forms, wanted)]
    document = memory_table(schemes, asked.batch_size, accounting=asked.accounting or "tinytl")
    return MemoryAnswer(document if asked.device is None else _held_against(document, load_device(asked.device)), schemes)


def memory_rows(document: dict[str, Any]) -> list[dict[str, str]]:
    """The schemes of a memory document as rows of texts with units: the total in every accounting, and the items of the chosen one.
    Items that none of them has are left out."""
    schemes = document["schemes"]
    items = [item for item in schemes[0]["items"] if any(row["items"][item] for row in schemes)]
    device = document.get("device")
    return [
        {"update": row["update"], "trained": number(row["trainable_parameters"])}
        | ({f"on {device['name']} ({size(device['memory'])})": _verdict(row)} if device else {})
        | {name: size(entry["total_bytes"]) for name, entry in row["accountings"].items()}
        | {item: size(row["items"][item]) for item in items}
        for row in schemes
    ]


def _held_against(document: dict[str, Any], device: DeviceProfile) -> dict[str, Any]:
    """The document with what each scheme would mean for a device: whether it fits its memory, and what it pages."""
    schemes = []
    for row in document["schemes"]:
        needed = row["total_bytes"]
        paged = {"paged_bytes": paged_bytes(needed, device), "paging_seconds": paging_seconds(needed, device)}
        schemes.append({**row, "fits": needed <= device.memory or device.paging is not None, **paged})
    about = {"name": device.name, "memory": int(device.memory), "pages": device.paging is not None}
    return {**document, "device": about, "schemes": schemes}


def _verdict(row: dict[str, Any]) -> str:
    if row["paged_bytes"]:
        return f"pages {size(row['paged_bytes'])} a step, {seconds(row['paging_seconds'])}"
    return "fits" if row["fits"] else "does not fit"


class _Forms:
    """A model with and without lite residual modules; each form is built and looked at once."""

    def __init__(self, model: Model, input_shape: Shape, classes: int) -> None:
        self.input_shape = input_shape
        self._model = model
        self._classes = classes
        self.summary = lru_cache(self._summary)
        self.step = lru_cache(self._step)

    def form(self, update: Update) -> bool:
        """Whether the network carries lite residual modules under this update."""
        return self._model.wants_lite_residual(update.trains_lite_residual)

    def flat(self, lite_residual: bool, plan: UpdatePlan) -> FlatNetwork:
        """A new network of this form, with what trains of it."""
        network = build_seeded(self._model, self.input_shape, self._classes, lite_residual=lite_residual, seed=0)
        values = {name: parameter.numpy(force=True) for name, parameter in network.named_parameters()}
        return FlatNetwork(network, layout_of(plan, self.summary(lite_residual), values))

    def _summary(self, lite_residual: bool) -> ModelSummary:
        network = build_seeded(self._model, self.input_shape, self._classes, lite_residual=lite_residual, seed=0)
        return summarize(network, self._model.kind, self.input_shape, self._classes)

    def _step(self, lite_residual: bool) -> StepFacts:
        network = build_seeded(self._model, self.input_shape, self._classes, lite_residual=lite_residual, seed=0)
        return watch_step(network, self._model.kind, self.input_shape)


@dataclass(frozen=True)
class _Bill:
    """How the memory of a scheme is counted."""

    asked: MemoryQuestion
    optimizer: Optimizer
    client_vectors: int

    def scheme(self, forms: _Forms, form: bool, plan: UpdatePlan) -> SchemeMemory:
        """What training as `plan` says takes, in the accountings that were asked for."""
        summary, batch_size = forms.summary(form), self.asked.batch_size
        ways: dict[Accounting, Callable[[], Ledger]] = {
            "tinytl": lambda: tinytl_memory(summary, plan, batch_size, client_vectors=self.client_vectors).ledger,
            "mcu": lambda: mcu_memory(summary, plan, batch_size, client_vectors=self.client_vectors),
            "autograd": lambda: autograd_memory(
                summary, forms.step(form), plan, batch_size, optimizer=self.optimizer, client_vectors=self.client_vectors
            ),
        }
        wanted = ACCOUNTINGS if self.asked.accounting is None else (self.asked.accounting,)
        ledgers: dict[str, Ledger] = {accounting: ways[accounting]() for accounting in wanted}
        if self.asked.measure:
            ledgers[MEASURED] = self._measured(forms.flat(form, plan), summary, plan, ways["autograd"]().total_bytes)
        return SchemeMemory(summary, plan, ledgers)

    def _measured(self, flat: FlatNetwork, summary: ModelSummary, plan: UpdatePlan, expected: int) -> Ledger:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if expected > _MOST_OF_THE_MACHINE * memory:
            raise ScenarioError(
                f"--measure: a step of update {plan.scheme} takes about {size(expected)}, and this machine has {size(memory)}: "
                "lower --batch-size or --input, or leave --measure out"
            )
        batch = batches_of_zeros(flat.network, summary.input_shape)(self.asked.batch_size)
        measured = measured_memory(flat, self.optimizer, *batch, client_vectors=self.client_vectors)
        moments = [Moment("", phase, items) for phase, items in measured.phases.items()]
        return ledger_of(MEASURED, self.asked.batch_size, tuple(moments))


def _with_lite_residual(model: str, lite_residual: bool | None) -> str:
    if lite_residual is None:
        return model
    plain = parse_tree(model, "MODEL", lines=False).plain
    part = plain if isinstance(plain, dict) else {"kind": plain}
    return dump_tree({**part, "lite_residual": lite_residual})


def _shape(text: str) -> Shape:
    numbers = [int(number) for number in text.split(",") if number.strip().isdecimal()]
    if len(numbers) != 3 or len(text.split(",")) != 3 or 0 in numbers:
        raise ScenarioError(f"--input: expected channels,height,width such as 3,224,224, found {text!r}")
    shape = (numbers[0], numbers[1], numbers[2])
    elements = shape[0] * shape[1] * shape[2]
    if elements > _MOST_ELEMENTS:
        raise ScenarioError(
            f"--input: a sample of {text} has {elements:,} numbers, and FedTiny looks at networks with at most {_MOST_ELEMENTS:,}, "
            "such as 3,1024,1024: give a smaller sample; activations grow with its area"
        )
    return shape


def _classes(classes: int) -> int:
    if classes > _MOST_CLASSES:
        raise ScenarioError(f"--classes: at most {_MOST_CLASSES:,}, found {classes:,}")
    return classes


def _client_vectors(asked: MemoryQuestion) -> int:
    if asked.strategy is None:
        return 0
    strategy: Strategy = read_part(asked.strategy, AnyStrategy, "--strategy")
    return strategy.client_vectors(asked.local_steps)


def _published(model: Model) -> list[Update]:
    return [Sparse(scheme=name) for name in published_for(model.kind)]


def _planned(forms: _Forms, updates: Sequence[Update]) -> list[tuple[Update, UpdatePlan]]:
    """Every update with what it trains; one that the network lacks something for is left out, unless that is all of them."""
    planned = []
    refusals = []
    for update in updates:
        try:
            planned.append((update, update.plan(forms.summary(forms.form(update)))))
        except (ModelError, ScenarioError) as refusal:
            refusals.append(refusal)
    if not planned:
        raise refusals[0]
    return planned


def write_memory_plot(answer: MemoryAnswer, file: Path) -> None:
    """Draws memory along the step of every scheme as SVG or PNG, which the file's name says.

    Raises ScenarioError for another ending, and OSError where the file cannot be written.
    """
    from fedtiny.reports import style
    from fedtiny.reports.figures.memory_along_step import draw

    if file.suffix not in (".svg", ".png"):
        raise ScenarioError(f"--plot: expected a name that ends in .svg or .png, found {file.name}")
    figure = draw(answer.steps())
    if file.suffix == ".svg":
        file.write_text(style.svg_text(figure), encoding="utf-8")
    else:
        file.write_bytes(style.png_bytes(figure))
