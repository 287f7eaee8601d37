"""Extra memory: what training adds to inference in the int8 graph of a microcontroller, exact to the bit.

    bits = sum over the operators that the backward pass reaches of
             |y|                                   clamp masks: one bit per output element of a convolution
           + 32 out_channels                       biases that train
           + 8 |x| n / c     if its weight trains  saved input: the n of c input channels that train
           + 8 |W| n / c     if its weight trains  a copy of the weight that can change; the original is in read-only memory
         + 8 fc_in                                 input of the head

|x|, |y| and |W| are the elements of input, output and weight; kilobytes are bits / 8 / 1024. This is the number that the authors
search schemes by, and that their published schemes are named after. Not in it, by its definition: the forward pass itself, gradients
on their way, the head's own weight, momentum (their SGD has none). The first four items are one operator's, so memory adds up
over layers. A batch has |x|, |y| and fc_in as often as samples; that is ours, for there it is always one.

How other networks and plans are counted (`int8_units.py`), which is ours too: norms as folded; a ReLU that follows no convolution
has a mask as well; a smooth activation that the gradient passes keeps its input in 8 bits, a product of two activations both of
them; linear, recurrent and embedding layers that train keep their input and a copy of their weight like a convolution (the gates
inside a recurrent layer are not counted); lite residual modules are convolutions like others.

Citation: Lin, Zhu, Chen, Wang, Gan, Han: On-Device Training Under 256KB Memory. NeurIPS 2022, arXiv 2206.15472, section 2.2 and
released code.
"""

from dataclasses import dataclass

from fedtiny.costs.int8_units import Unit, int8_units
from fedtiny.models.summary import ModelSummary
from fedtiny.updates.plan import UpdatePlan


@dataclass(frozen=True)
class ExtraMemory:
    """The items, in bits, for a whole batch."""

    clamp_masks: int
    biases: int
    saved_inputs: int
    updated_weights: int
    head_input: int

    @property
    def bits(self) -> int:
        """All items together."""
        return self.clamp_masks + self.biases + self.saved_inputs + self.updated_weights + self.head_input

    @property
    def total_bytes(self) -> int:
        """All items together, rounded up to a byte."""
        return -(-self.bits // 8)

    @property
    def kilobytes(self) -> float:
        """All items together in kB of 1024 bytes, the unit of the paper."""
        return self.bits / 8 / 1024


def extra_memory(summary: ModelSummary, plan: UpdatePlan, batch_size: int = 1) -> ExtraMemory:
    """The extra memory of training what a plan trains on a batch. Raises ValueError where the batch has no sample."""
    if batch_size < 1:
        raise ValueError(f"a batch has at least 1 sample, not {batch_size}")
    units = int8_units(summary, plan)
    body = [unit for unit in units if not unit.is_head]
    return ExtraMemory(
        clamp_masks=batch_size * sum(unit.mask_bits for unit in body),
        biases=32 * sum(unit.biases for unit in body),
        saved_inputs=batch_size * 8 * sum(unit.saved for unit in body),
        updated_weights=8 * sum(unit.weights for unit in body),
        head_input=batch_size * 8 * sum(map(_head_input, units)),
    )


def _head_input(unit: Unit) -> int:
    return unit.layer.input_elements if unit.is_head and unit.trains else 0
