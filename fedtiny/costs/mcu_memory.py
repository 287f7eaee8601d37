"""Peak SRAM of a training step of the int8 graph on a microcontroller: a walk through the step, operator by operator.

The graph is that of `int8_units.py`. Weights that do not train stay in Flash, so SRAM holds, at every moment,

| item | what it is |
|---|---|
| trainable_parameters | what trains, for the whole step: copies of weights 8 bits, biases 32, the head 32 (floating point) |
| saved_activations | 8 bits for each element of the saved inputs, 1 bit for each of the clamp masks, the head's input in 32: of the \
operators that forward has passed and backward has not |
| transient_activations | forward: input and output of the operator, 8 bits; a depthwise convolution computes in place and takes the \
larger of the two and one channel. Backward: the gradients of its output and, where the pass goes on below, of its input, 8 bits; \
one of them for a depthwise convolution whose two have one size |
| residual_activations | the input of the block around it for its shortcut, backward its gradient; nothing while that is the \
operator's own input or output, or saved whole |
| gradients | with reordering the bias gradients of the operator; its weight is updated in place, element by element. Without, the \
gradients of all parameters so far, in 32 bits, until the update at the end |
| client_vectors | what the strategy keeps |

Reordering is the engine's: every update is moved right behind its gradient, so that the gradient need not wait. The widths are those of
the engine's int8 graph; a weight gradient that waits does so as it comes out of its accumulators, in 32 bits. `Widths` says otherwise.

The forward pass of the frozen part. Layer by layer, that of MobileNetV2-w0.35 at 128x128 alone takes 224 kB, and the whole published
step 141 kB; so there it ran otherwise, and how is not published. With `patches` (the default) its first operators run in patches,
as in the authors' MCUNetV2 (arXiv 2110.15352): up to the operator that is best for the peak, only the network's input and that
operator's output are held whole. A patch itself and what patches compute twice are not counted. Without `patches`, layer by layer.

Not counted either: rows that a kernel unrolls (im2col), the allocator's fragmentation, stack and code, a camera's frame.
Branches are walked one after another; of a parallel branch other than the shortcut nothing is held. docs/mcu_memory.md compares all this
with the published measurements.

Citation: Lin, Zhu, Chen, Wang, Gan, Han: On-Device Training Under 256KB Memory. NeurIPS 2022, arXiv 2206.15472, section 2.3, and the
released engine (mit-han-lab/tinyengine): what trains is static, all other tensors live from first to last use, depthwise in place,
bit masks, int8 gradients, updates in place. The walk is ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fedtiny.costs.int8_units import Unit, int8_units
from fedtiny.costs.ledger import Ledger, Moment, Phase, ledger_of
from fedtiny.models.summary import ModelSummary
from fedtiny.updates.plan import UpdatePlan

ACCOUNTING: Final = "mcu"
"""Name of this accounting in scenarios and outputs."""


@dataclass(frozen=True)
class Widths:
    """Bytes per element of what the published description leaves open."""

    activation_gradient: int = 1
    """A gradient on its way back."""
    weight_gradient: int = 0
    """A weight gradient that is applied at once; 0: in place, as each element of it is known."""
    waiting_gradient: int = 4
    """A weight gradient that waits for the end of the step."""


def mcu_memory(
    summary: ModelSummary,
    plan: UpdatePlan,
    batch_size: int,
    *,
    reordering: bool = True,
    patches: bool = True,
    widths: Widths | None = None,
    client_vectors: int = 0,
    vector_element_bytes: int = 4,
) -> Ledger:
    """Peak SRAM of a step on a batch, with every moment of the step in its order.

    `client_vectors` vectors as long as what trains stay with the strategy, `vector_element_bytes` an element. Raises ValueError where
    a count is out of range.
    """
    if batch_size < 1:
        raise ValueError(f"a batch has at least 1 sample, not {batch_size}")
    if client_vectors < 0:
        raise ValueError(f"a device holds 0 or more vectors of a strategy, not {client_vectors}")
    step = _Step(int8_units(summary, plan), batch_size, reordering, widths or Widths())
    vectors = client_vectors * vector_element_bytes * plan.trainable_elements(summary)
    forward = step.forward_in_patches() if patches else step.forward()
    moments = [*forward, *step.backward()]
    return ledger_of(ACCOUNTING, batch_size, tuple(_moment(one, step.parameters, vectors) for one in moments))


@dataclass(frozen=True)
class _Live:
    """What lives at one moment beside the parameters, in bytes but for the saved bits."""

    layer: str
    phase: Phase
    saved_bits: int
    transient: int
    residual: int = 0
    gradients: int = 0


def _moment(live: _Live, parameters: int, vectors: int) -> Moment:
    items = {
        "trainable_parameters": parameters,
        "frozen_parameters": 0,
        "saved_activations": -(-live.saved_bits // 8),
        "transient_activations": live.transient,
        "residual_activations": live.residual,
        "gradients": live.gradients,
        "client_vectors": vectors,
    }
    return Moment(live.layer, live.phase, items)


class _Step:
    """The walk through one training step."""

    def __init__(self, units: Sequence[Unit], batch_size: int, reordering: bool, widths: Widths) -> None:
        self.units, self.batch, self.reordering, self.widths = units, batch_size, reordering, widths
        self.first = next((index for index, unit in enumerate(units) if unit.has_gradient), len(units))
        self.parameters = sum(map(_parameter_bytes, units))
        self._saved = [0]
        for unit in units:
            self._saved.append(self._saved[-1] + self._saved_bits(unit))

    def forward(self, start: int = 0) -> list[_Live]:
        """The forward pass from an operator on, one operator after the other."""
        return [self._forward(index) for index in range(start, len(self.units))]

    def forward_in_patches(self) -> list[_Live]:
        """The same with the first operators in patches, as many of the frozen ones as are best for the peak of the frozen part."""
        frozen = self.forward()[: self.first]
        best = min(range(self.first + 1), key=lambda count: max([self._patched(count), *(_activations(one) for one in frozen[count:])]))
        if best == 0:
            return self.forward()
        return [_Live(self.units[best - 1].layer.name, "forward", 0, self._patched(best)), *self.forward(best)]

    def _patched(self, count: int) -> int:
        """Bytes of activations while the first `count` operators run in patches."""
        if count == 0:
            return 0
        return self.batch * (self.units[0].layer.input_elements + self.units[count - 1].layer.output_elements)

    def backward(self) -> Iterator[_Live]:
        """The backward pass from the head down, and the update at the end where gradients waited for it."""
        waiting = 0
        for index in range(len(self.units) - 1, self.first - 1, -1):
            unit = self.units[index]
            if unit.has_gradient:
                yield self._backward(index, waiting + self._gradient(unit))
                waiting += 0 if self.reordering else self._gradient(unit)
        if waiting:
            yield _Live(self.units[self.first].layer.name, "update", 0, 0, 0, waiting)

    def _forward(self, index: int) -> _Live:
        unit = self.units[index]
        layer = unit.layer
        own_input = layer.input_elements == layer.residual_elements
        kept = own_input or self._block_input_is_saved(index)
        return _Live(
            layer.name,
            "forward",
            self._saved[index],
            self.batch * _forward_bytes(unit),
            0 if kept else self.batch * layer.residual_elements,
        )

    def _backward(self, index: int, gradients: int) -> _Live:
        unit = self.units[index]
        layer = unit.layer
        width = 4 if unit.is_head else self.widths.activation_gradient
        shortcut = unit.needs_input_gradient and layer.output_elements != layer.residual_elements
        return _Live(
            layer.name,
            "backward",
            self._saved[index + 1],
            self.batch * width * _backward_elements(unit),
            self.batch * width * layer.residual_elements if shortcut else 0,
            gradients,
        )

    def _gradient(self, unit: Unit) -> int:
        """Bytes of the gradients of an operator's parameters: biases are summed in 32 bits, the head is in floating point."""
        per_weight = self.widths.weight_gradient if self.reordering else self.widths.waiting_gradient
        return (4 if unit.is_head else per_weight) * unit.weights + 4 * unit.biases

    def _saved_bits(self, unit: Unit) -> int:
        bits_per_element = 32 if unit.is_head else 8
        return self.batch * (bits_per_element * unit.saved + unit.mask_bits)

    def _block_input_is_saved(self, index: int) -> bool:
        """Whether the operator that took the block's input keeps it whole, so that the shortcut holds nothing more."""
        residual = self.units[index].layer.residual_elements
        while index >= 0 and self.units[index].layer.residual_elements == residual > 0:
            if self.units[index].layer.input_elements == residual:
                return self.units[index].saves_input_whole
            index -= 1
        return False


def _activations(live: _Live) -> int:
    return live.transient + live.residual


def _parameter_bytes(unit: Unit) -> int:
    return 4 * (unit.weights + unit.biases) if unit.is_head else unit.weights + 4 * unit.biases


def _forward_bytes(unit: Unit) -> int:
    layer = unit.layer
    larger = max(layer.input_elements, layer.output_elements)
    if unit.is_depthwise:
        return larger + larger // layer.groups
    return layer.input_elements + (4 if unit.is_head else 1) * layer.output_elements


def _backward_elements(unit: Unit) -> int:
    layer = unit.layer
    if not unit.needs_input_gradient:
        return layer.output_elements
    if unit.is_depthwise and layer.input_elements == layer.output_elements:
        return layer.output_elements
    return layer.output_elements + layer.input_elements
