"""What training a network takes of a device's memory, under one update or under all of them side by side."""

from typing import Any

from fedtiny.costs.memory_table import memory_table
from fedtiny.errors import ModelError, ScenarioError
from fedtiny.models.base import Model
from fedtiny.models.measure import summarize
from fedtiny.models.python_network import PythonNetwork
from fedtiny.models.seeded import build_seeded
from fedtiny.models.summary import ModelSummary
from fedtiny.reports.quantities import number, size
from fedtiny.scenario.choices import AnyModel, AnyUpdate
from fedtiny.scenario.files import read_part
from fedtiny.scenario.tree import dump_tree, parse_tree
from fedtiny.updates.base import Update
from fedtiny.updates.plan import UpdatePlan
from fedtiny.updates.schemes import SCHEMES

Shape = tuple[int, int, int]


def memory_document(
    model: str,
    update: str | None,
    batch_size: int,
    input_shape: str,
    classes: int,
    *,
    lite_residual: bool | None = None,
    allow_code: bool = False,
) -> dict[str, Any]:
    """The document of `fedtiny memory --json`, from what stands on the command line.

    `model` and `update` are parts in YAML or kinds alone, `input_shape` is "channels,height,width". Without an update, every
    scheme that the network can be trained with. Raises ScenarioError or ModelError, naming the argument.
    """
    part: Model = read_part(_with_lite_residual(model, lite_residual), AnyModel, "MODEL")
    if isinstance(part, PythonNetwork) and not allow_code:
        raise ScenarioError(f"MODEL: {part.path} is code of your own, which runs only if you allow it: add --allow-code")
    shape = _shape(input_shape)
    if update is None:
        return memory_table(_all_planned(part, shape, classes), batch_size)
    return memory_table([_planned(part, read_part(update, AnyUpdate, "--update"), shape, classes)], batch_size)


def memory_rows(document: dict[str, Any]) -> list[dict[str, str]]:
    """The schemes of a memory document as rows of texts with units, for a table; items that none of them has are left out."""
    schemes = document["schemes"]
    items = [item for item in schemes[0]["items"] if any(row["items"][item] for row in schemes)]
    return [
        {"update": row["update"], "trained": number(row["trainable_parameters"]), "total": size(row["total_bytes"])}
        | {item: size(row["items"][item]) for item in items}
        for row in schemes
    ]


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
    return (numbers[0], numbers[1], numbers[2])


def _all_planned(model: Model, input_shape: Shape, classes: int) -> list[tuple[ModelSummary, UpdatePlan]]:
    """Every scheme with what it trains; a scheme that the network lacks something for is left out, unless that is all of them."""
    planned = []
    refusals = []
    for scheme in SCHEMES:
        try:
            planned.append(_planned(model, scheme, input_shape, classes))
        except (ModelError, ScenarioError) as refusal:
            refusals.append(refusal)
    if not planned:
        raise refusals[0]
    return planned


def _planned(model: Model, update: Update, input_shape: Shape, classes: int) -> tuple[ModelSummary, UpdatePlan]:
    lite_residual = model.wants_lite_residual(update.trains_lite_residual)
    network = build_seeded(model, input_shape, classes, lite_residual=lite_residual, seed=0)
    summary = summarize(network, model.kind, input_shape, classes)
    return summary, update.plan(summary)
