"""Peak SRAM of an inference on a microcontroller: a walk through the operators of the int8 graph, one after the other.

While an operator computes, SRAM holds

    transient = input + output                        of most operators
    transient = max(input, output) + one channel      of a depthwise convolution in place: 2N channels become N + 1
    residual  = the input of the block around it, for its shortcut, unless that is the input that the operator holds anyway

Weights are streamed from Flash. Norms and activations are folded into the operator before them (`int8_units.py`), the shortcut is added
in place. A depthwise convolution that computes in place overwrites its input, so where that is also the block's, the shortcut needs a
second copy. Not counted: rows that a kernel unrolls (im2col), fragmentation, stack and code. Of a depthwise convolution with a stride,
the channel beside is one of the larger of input and output, as in `mcu_memory.py`.

Citation: Lin, Chen, Lin, Cohn, Gan, Han: MCUNet: Tiny Deep Learning on IoT Devices. NeurIPS 2020, arXiv 2007.10319, section 3.2 (in-place
depthwise convolution).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from fedtiny.costs.int8_units import Unit, int8_units
from fedtiny.costs.ledger import Ledger, Moment, ledger_of
from fedtiny.models.summary import ModelSummary
from fedtiny.updates.plan import UpdatePlan

ACCOUNTING: Final = "inference"
"""Name of this accounting in outputs."""

_NOTHING_TRAINS = UpdatePlan("inference", (), requires_backward=False)


def inference_memory(summary: ModelSummary, batch_size: int = 1, *, in_place: bool = True, activation_bytes: int = 1) -> Ledger:
    """Peak bytes of activations of a forward pass that nothing follows, with the moment of every operator in its order.

    Raises ValueError for a batch or a width below 1, and for networks with lite residual modules: what their parallel branches hold is
    not walked.
    """
    if batch_size < 1 or activation_bytes < 1:
        raise ValueError(f"a batch has at least 1 sample, an element at least 1 byte, not {batch_size} and {activation_bytes}")
    if any(layer.section == "lite_residual" for layer in summary.layers):
        raise ValueError(f"{summary.model} has lite residual modules, whose branches are not walked: take the network without them")
    units = int8_units(summary, _NOTHING_TRAINS)
    width = batch_size * activation_bytes
    return ledger_of(ACCOUNTING, batch_size, tuple(_moments(units, width, in_place=in_place)))


def _moments(units: Sequence[Unit], width: int, *, in_place: bool) -> list[Moment]:
    moments = []
    for before, unit in pairwise([None, *units]):
        assert unit is not None, "only the first is None"
        items = {"transient_activations": width * _transient(unit, in_place), "residual_activations": width * _held(before, unit, in_place)}
        moments.append(Moment(unit.layer.name, "forward", items))
    return moments


def _transient(unit: Unit, in_place: bool) -> int:
    layer = unit.layer
    if not (in_place and unit.is_depthwise):
        return layer.input_elements + layer.output_elements
    larger = max(layer.input_elements, layer.output_elements)
    return larger + larger // layer.groups


def _held(before: Unit | None, unit: Unit, in_place: bool) -> int:
    """Elements of the block's input that are held beside the operator's own."""
    residual = unit.layer.residual_elements
    # equal sizes alone do not tell: without expansion, what a depthwise convolution hands on is as large as its block's input
    inside = before is not None and before.is_depthwise and before.layer.residual_elements > 0
    own = unit.layer.input_elements == residual and not inside and not (in_place and unit.is_depthwise)
    return 0 if own else residual
