"""The table of `fedtiny memory`: what training takes under several schemes and in several accountings, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fedtiny.costs import memory
from fedtiny.costs.ledger import Ledger
from fedtiny.costs.memory import tinytl_memory
from fedtiny.models.summary import ModelSummary
from fedtiny.updates.plan import UpdatePlan

MEASURED: Final = "measured"
"""What stands beside the accountings where a real step was measured."""


@dataclass(frozen=True)
class SchemeMemory:
    """One scheme: a network, what trains of it, and what that takes in each accounting by its name."""

    summary: ModelSummary
    plan: UpdatePlan
    ledgers: Mapping[str, Ledger]


def memory_table(
    schemes: Sequence[SchemeMemory], batch_size: int, *, accounting: str = memory.ACCOUNTING, vector_bytes: int = 4
) -> dict[str, Any]:
    """The table as the JSON document of `fedtiny memory --json`: one entry of `schemes` per scheme, in the order given.

    A scheme may have its own form of the network, with or without lite residual modules. The figures of an entry are those of
    `accounting`, all others stand under `accountings`. Bytes are for the whole batch, but for the two per sample, which are
    TinyTL's. An element that travels takes `vector_bytes`.

    Raises ValueError where there is no scheme, or where they are about different models, inputs or classes.
    """
    subjects = {(scheme.summary.model, scheme.summary.input_shape, scheme.summary.classes) for scheme in schemes}
    if len(subjects) != 1:
        raise ValueError(f"a memory table is about one model, one input shape and one number of classes, found {sorted(subjects)}")
    model, input_shape, classes = subjects.pop()
    return {
        "model": model,
        "accounting": accounting,
        "batch_size": batch_size,
        "input": list(input_shape),
        "classes": classes,
        "schemes": [_row(scheme, batch_size, accounting, vector_bytes) for scheme in schemes],
    }


def _row(scheme: SchemeMemory, batch_size: int, accounting: str, vector_bytes: int) -> dict[str, Any]:
    summary, plan, ledger = scheme.summary, scheme.plan, scheme.ledgers[accounting]
    published = tinytl_memory(summary, plan, batch_size)
    trainable = plan.trainable_elements(summary)
    return {
        "update": plan.scheme,
        "lite_residual": any(layer.section == "lite_residual" for layer in summary.layers),
        "parameters": summary.parameter_elements,
        "trainable_parameters": trainable,
        "parameter_bytes": ledger.parameter_bytes,
        "activation_bytes": ledger.activation_bytes,
        "total_bytes": ledger.total_bytes,
        "peak_bytes_per_sample": published.peak_bytes_per_sample,
        "saved_bytes_per_sample": published.saved_bytes_per_sample,
        "payload_bytes": vector_bytes * trainable,
        "peak_layer": ledger.peak_layer,
        "items": dict(ledger.items),
        "accountings": {name: _entry(one) for name, one in scheme.ledgers.items()},
    }


def _entry(ledger: Ledger) -> dict[str, Any]:
    return {"total_bytes": ledger.total_bytes, "peak_layer": ledger.peak_layer, "items": dict(ledger.items)}
