"""The table of `fedtiny memory`: what training takes under several schemes, side by side."""

from collections.abc import Sequence
from typing import Any

from fedtiny.costs.memory import ACCOUNTING, tinytl_memory
from fedtiny.models.summary import ModelSummary
from fedtiny.updates.plan import UpdatePlan


def memory_table(planned: Sequence[tuple[ModelSummary, UpdatePlan]], batch_size: int) -> dict[str, Any]:
    """The table as the JSON document of `fedtiny memory --json`: one entry of `schemes` per pair, in the order given.

    Each pair is a network and the parameters of it that train; a scheme may have its own form of the network, with or without
    lite residual modules. Bytes are for the whole batch, but for the two per sample.

    Raises ValueError where there is no pair, or where they are about different models, inputs or classes.
    """
    subjects = {(summary.model, summary.input_shape, summary.classes) for summary, _ in planned}
    if len(subjects) != 1:
        raise ValueError(f"a memory table is about one model, one input shape and one number of classes, found {sorted(subjects)}")
    model, input_shape, classes = subjects.pop()
    return {
        "model": model,
        "accounting": ACCOUNTING,
        "batch_size": batch_size,
        "input": list(input_shape),
        "classes": classes,
        "schemes": [_row(summary, plan, batch_size) for summary, plan in planned],
    }


def _row(summary: ModelSummary, plan: UpdatePlan, batch_size: int) -> dict[str, Any]:
    ledger = tinytl_memory(summary, plan, batch_size)
    trainable = plan.trainable_elements(summary)
    return {
        "update": plan.scheme,
        "lite_residual": any(layer.section == "lite_residual" for layer in summary.layers),
        "parameters": summary.parameter_elements,
        "trainable_parameters": trainable,
        "parameter_bytes": ledger.parameter_bytes,
        "activation_bytes": ledger.activation_bytes,
        "total_bytes": ledger.total_bytes,
        "peak_bytes_per_sample": ledger.peak_bytes_per_sample,
        "saved_bytes_per_sample": ledger.saved_bytes_per_sample,
        "payload_bytes": 4 * trainable,
        "peak_layer": ledger.peak_layer,
        "items": ledger.items,
    }
