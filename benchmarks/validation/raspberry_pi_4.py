"""Raspberry Pi 4: training steps of 32 networks in PyTorch, predicted from the columns of the measurements and from layers.

python benchmarks/validation/raspberry_pi_4.py        the parameters that fit all rows, for the shipped profile
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from layers import known_networks
from rows import Check, Row, Section, median_error, table
from speed_fit import PARAMETERS, Step, Vector, fit, full, head_only, walk

from fedtiny.costs.compute import step_seconds
from fedtiny.fleet.catalog import load_device

BATCH: Final = 16
DRAWS: Final = 200
DRAWN: Final = 10
SOURCE: Final = "federated_embedded_vision"
# Whose multiply-accumulates are mostly in dense convolutions and matrix products, as their papers say.
DENSE: Final = ("resnet", "vit", "deit", "swin", "faster_vit")
_RIDGE: Final = 0.01


@cache
def measured() -> tuple[Step, ...]:
    """Every measured step (seconds of one batch)."""
    steps = []
    for row in table("raspberry_pi_4"):
        for head, column in ((False, "train_seconds"), (True, "head_only_seconds")):
            if row[column]:
                steps.append(Step(row["model"], head, float(row[column]) / int(row["batches"])))
    return tuple(steps)


def draws(names: Sequence[str]) -> list[list[str]]:
    """200 times ten of these networks."""
    generator = np.random.default_rng(0)
    return [list(generator.choice(list(names), DRAWN, replace=False)) for _ in range(DRAWS)]


def from_columns(*, with_head_only: bool) -> Vector:
    """Absolute errors on the networks that were not drawn, (errors,): of log seconds, linear in the logarithms of a file's columns."""
    rows = [row for row in table("raspberry_pi_4") if row["train_seconds"]]
    seconds = np.log([float(row["train_seconds"]) / int(row["batches"]) for row in rows])
    columns = np.array([_features(row, with_head_only) for row in rows])
    names = [row["model"] for row in rows]
    start = np.array([1.0, 0.6, 0.1, 0.0]) if not with_head_only else np.array([0.9, 0.0, 0.0, 0.0, 1.0])
    errors: list[float] = []
    for drawn in draws(names):
        known = np.isin(names, drawn)
        weights = _ridge(columns[known], seconds[known], start)
        errors.extend(np.abs(np.expm1(columns[~known] @ weights - seconds[~known])))
    return np.array(errors)


def _features(row: dict[str, str], with_head_only: bool) -> list[float]:
    plain = [1.0, np.log(float(row["gmacs"])), np.log(float(row["parameters_millions"])), float(not row["model"].startswith(DENSE))]
    return [*plain, np.log(float(row["head_only_seconds"]) / int(row["batches"]))] if with_head_only else plain


def _ridge(columns: Vector, values: Vector, start: Vector) -> Vector:
    strength = np.full(len(start), _RIDGE)
    strength[0] = 1e-3
    found: Vector = np.linalg.solve(columns.T @ columns + np.diag(strength), columns.T @ values + strength * start)
    return found


def from_layers(count: int = DRAWS) -> Vector:
    """Absolute errors of training steps of the networks that were not drawn, (errors,), with layer counts."""
    walked = walk(known_networks(), BATCH)
    steps = [step for step in measured() if (step.network, False) in walked]
    trained = [step for step in steps if not step.head_only]
    errors: list[float] = []
    for drawn in draws([step.network for step in trained])[:count]:
        found = fit(walked, [step for step in steps if step.network in drawn])
        errors.extend(abs(walked[step.network, False].seconds(found) / step.seconds - 1) for step in trained if step.network not in drawn)
    return np.array(errors)


def shipped() -> list[Row]:
    """Every measured step, as the catalog's profile predicts it."""
    networks, device = known_networks(), load_device("raspberry_pi_4")
    rows = []
    for step in measured():
        if step.network in networks:
            summary = networks[step.network]
            plan = (head_only if step.head_only else full)(summary)
            what = f"{step.network}, {'head only' if step.head_only else 'full'}, batch 16"
            predicted = step_seconds(summary, plan, BATCH, device)
            group = "Raspberry Pi 4, head only" if step.head_only else "Raspberry Pi 4, full"
            rows.append(Row(group, "raspberry_pi_4", what, predicted, step.seconds, "s", SOURCE, counted=False, note="in the fit"))
    return rows


def section() -> Section:
    """The Raspberry Pi 4's part of the page."""
    rows = shipped()
    trained, heads = ([row for row in rows if row.group.endswith(end)] for end in ("full", "head only"))
    columns, known = (from_columns(with_head_only=given) for given in (False, True))
    layers = from_layers()
    missing = "FasterViT is not in timm: its three rows are predicted from columns only."
    text = (
        f"PyTorch, plain SGD, batch 16, images of 224x224, image loading inside the time. {DRAWS} draws of {DRAWN} networks to fit, "
        f"errors on the training steps of the others: from the columns MACs, parameters and family {_percent(columns)}; with the time "
        f"of head-only training as a column, too, {_percent(known)}; with layer counts {_percent(layers)} (median, and quartiles). "
        f"{missing} The shipped profile fits all rows below: median error {median_error(trained):.1%} of full steps, "
        f"{median_error(heads):.1%} of head-only steps."
    )
    checks = [
        Check("Raspberry Pi 4 from MACs, parameters and family: median error on networks not fitted", float(np.median(columns)), 0.0, 0.30),
        Check("Raspberry Pi 4 from these and head-only time: median error on networks not fitted", float(np.median(known)), 0.0, 0.30),
        Check("Raspberry Pi 4 with layer counts: median error on networks not fitted", float(np.median(layers)), 0.0, 0.25),
    ]
    return Section("Raspberry Pi 4: training in PyTorch", text, rows, checks)


def _percent(errors: Vector) -> str:
    low, middle, high = np.quantile(errors, [0.25, 0.5, 0.75])
    return f"{middle:.1%} ({low:.1%} to {high:.1%})"


def fitted() -> dict[str, Any]:
    """The parameters that fit all rows."""
    walked = walk(known_networks(), BATCH)
    found = fit(walked, [step for step in measured() if (step.network, False) in walked])
    return dict(zip(PARAMETERS, np.exp(found).tolist(), strict=True))


if __name__ == "__main__":
    for name, value in fitted().items():
        print(f"{name:24} {value:.4g}")
