"""Training memory in TinyTL's accounting: parameters plus the activations at the peak, exact to the byte.

    memory   = parameters + batch_size * peak                                                     bytes
    peak     = max over the layers, in the order of their calls, of (transient + saved + residual)     per sample
    saved    = what the layers before this one keep for the backward pass

With |x| elements in, |y| elements out, g groups and a bytes per activation element, a layer adds

| operator | transient, while it computes | kept for the backward pass |
|---|---|---|
| convolution | a |x| + floor(a |y| / g) | a |x| if its weight trains |
| linear | a |x| + a |y| | a |x| if its weight trains |
| normalization | a |x| | a |x| if its gamma trains; beta alone needs nothing |
| relu | a |x| | one bit per element if anything below the head trains |
| smooth_activation | a |x| | a |x| if anything below the head trains |
| other (pooling, dropout, upsampling) | 0 | 0 |
| other with parameters (ours) | a |x| + a |y| | a |x| if its weight trains |
| other with multiply-accumulates only (ours) | a |x| + a |y| | a |x| if anything below the head trains |
| a weight that trains on n of its c input channels (ours) | as above | a |x| n / c |

The last three are not in the published accounting, whose networks have none: recurrent layers, embeddings and scales; products
of two activations; sparse updates. They are lower bounds: the gates inside a recurrent layer are not counted.

residual is a times the input of the enclosing block while inside a block with a shortcut. A trainable parameter takes
4 bytes, a frozen one `frozen_bits` (8: TinyTL keeps frozen weights quantised). ReLU masks are billed at every ReLU, even
before the first trainable parameter, and a tensor that is both saved and in use is billed twice: both belong to the
published definition. Not in it: gradients of the parameters, optimiser state (Adam: 8 bytes per trainable parameter), the
loss, buffers such as codebooks, program code.

Masks are counted in bits and rounded up to bytes once for the whole batch, so a network whose layers are not multiples of
eight elements wide loses at most one byte against the exact fraction.

Citation: Cai, Gan, Zhu, Han: TinyTL: Reduce Memory, Not Parameters for Efficient On-Device Learning. NeurIPS 2020, arXiv
2007.11622, sections 3.1 and 4.1; the accounting is that of the authors' program (mit-han-lab/tinyml, tinytl, memory profiler).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from fedtiny.costs.ledger import Ledger, Moment
from fedtiny.models.summary import LayerFacts, ModelSummary
from fedtiny.updates.plan import UpdatePlan, trained_share

ACCOUNTING: Final = "tinytl"
"""Name of this accounting in scenarios and outputs."""


@dataclass(frozen=True)
class MemoryLedger:
    """What training takes, item by item, in bytes for the whole batch, and the two figures per sample of the tables."""

    ledger: Ledger
    """The items at the peak and at every layer of the forward pass; the published accounting has no backward pass."""
    peak_bytes_per_sample: int
    """Activations at the peak for one sample, rounded up to a byte."""
    saved_bytes_per_sample: int
    """All that is kept for the backward pass of one sample when the forward pass ends, rounded up to a byte."""

    @property
    def batch_size(self) -> int:
        """Samples in a batch."""
        return self.ledger.batch_size

    @property
    def items(self) -> Mapping[str, int]:
        """The items by name, in bytes; they add up to `total_bytes`."""
        return self.ledger.items

    @property
    def peak_layer(self) -> str:
        """The layer that computes when the peak is reached."""
        return self.ledger.peak_layer

    @property
    def saved_activations(self) -> int:
        """What is kept for the backward pass when the peak is reached."""
        return self.items["saved_activations"]

    @property
    def transient_activations(self) -> int:
        """Input and output of the layer that computes at the peak."""
        return self.items["transient_activations"]

    @property
    def residual_activations(self) -> int:
        """The input of the block around that layer, kept for its shortcut."""
        return self.items["residual_activations"]

    @property
    def client_vectors(self) -> int:
        """Vectors that the strategy keeps on the device, such as the own gradient sums of delayed gradient averaging."""
        return self.items["client_vectors"]

    @property
    def parameter_bytes(self) -> int:
        """Trainable and frozen parameters."""
        return self.ledger.parameter_bytes

    @property
    def activation_bytes(self) -> int:
        """Activations of the whole batch at the peak."""
        return self.ledger.activation_bytes

    @property
    def total_bytes(self) -> int:
        """All items together: what has to fit the device's memory."""
        return self.ledger.total_bytes


@dataclass(frozen=True)
class _Moment:
    """What one sample occupies while a layer computes: saved in bits, the rest in bytes."""

    layer: str
    saved_bits: int
    transient: int
    residual: int

    @property
    def bits(self) -> int:
        return self.saved_bits + 8 * (self.transient + self.residual)

    def items(self, batch_size: int) -> dict[str, int]:
        return {
            "saved_activations": _whole_bytes(self.saved_bits * batch_size),
            "transient_activations": self.transient * batch_size,
            "residual_activations": self.residual * batch_size,
        }


def tinytl_memory(
    summary: ModelSummary,
    plan: UpdatePlan,
    batch_size: int,
    *,
    frozen_bits: int = 8,
    trainable_bits: int = 32,
    activation_bits: int = 32,
    client_vectors: int = 0,
    vector_element_bytes: int = 4,
) -> MemoryLedger:
    """The memory that training the parameters of `plan` takes on a batch.

    `frozen_bits` is the width of a frozen parameter (32: not quantised), `trainable_bits` and `activation_bits` are those of a
    trained one and of an activation element, multiples of 8 (64: training in float64). `client_vectors` is the number of vectors
    as long as the trainable parameters that a strategy keeps on the device, with `vector_element_bytes` per element: delayed
    gradient averaging keeps ceil(delay / local steps) own gradient sums and one accumulator. TinyTL's tables have none.

    Raises ValueError where a count is out of range.
    """
    _check(batch_size, frozen_bits, {"trained parameters": trainable_bits, "activations": activation_bits}, client_vectors)
    trainable, frozen = _elements(summary, plan)
    *layers, end = _moments(summary, plan, activation_bits // 8)
    parameters = {
        "trainable_parameters": trainable_bits // 8 * trainable,
        "frozen_parameters": _whole_bytes(frozen_bits * frozen),
    }
    vectors = {"client_vectors": client_vectors * vector_element_bytes * trainable}
    peak = max(layers, key=lambda moment: moment.bits)
    ledger = Ledger(
        accounting=ACCOUNTING,
        batch_size=batch_size,
        items={**parameters, **peak.items(batch_size), **vectors},
        peak_layer=peak.layer,
        moments=tuple(Moment(layer.layer, "forward", {**parameters, **layer.items(batch_size), **vectors}) for layer in layers),
    )
    return MemoryLedger(ledger, _whole_bytes(peak.bits), _whole_bytes(end.saved_bits))


def _check(batch_size: int, frozen_bits: int, widths: Mapping[str, int], client_vectors: int) -> None:
    if batch_size < 1:
        raise ValueError(f"a batch has at least 1 sample, not {batch_size}")
    if not 1 <= frozen_bits <= 32:
        raise ValueError(f"a frozen parameter takes 1 to 32 bits, not {frozen_bits}")
    for what, bits in widths.items():
        if bits < 8 or bits % 8:
            raise ValueError(f"{what} take whole bytes: 8, 16, 32 or 64 bits, not {bits}")
    if client_vectors < 0:
        raise ValueError(f"a device holds 0 or more vectors of a strategy, not {client_vectors}")


def _elements(summary: ModelSummary, plan: UpdatePlan) -> tuple[int, int]:
    trainable = plan.trainable_elements(summary)
    return trainable, summary.parameter_elements - trainable


def _moments(summary: ModelSummary, plan: UpdatePlan, element_bytes: int) -> Iterator[_Moment]:
    """The moments of the forward pass, one per layer, and one after the last layer that holds only what is saved."""
    saved = 0
    for layer in summary.layers:
        yield _Moment(layer.name, saved, _transient(layer, element_bytes), element_bytes * layer.residual_elements)
        saved += _kept_bits(layer, trained_share(layer, plan), plan.requires_backward, element_bytes)
    yield _Moment("", saved, 0, 0)


def _transient(layer: LayerFacts, element_bytes: int) -> int:
    inputs, outputs = element_bytes * layer.input_elements, element_bytes * layer.output_elements
    match layer.operator:
        case "convolution":
            return inputs + outputs // layer.groups
        case "linear":
            return inputs + outputs
        case "normalization" | "relu" | "smooth_activation":
            return inputs
        case "other":
            return inputs + outputs if layer.parameters or layer.macs else 0


def _kept_bits(layer: LayerFacts, trained: Fraction, requires_backward: bool, element_bytes: int) -> int:
    inputs = 8 * element_bytes * layer.input_elements
    match layer.operator:
        case "convolution" | "linear" | "normalization":
            return int(inputs * trained)
        case "relu":
            return layer.input_elements if requires_backward else 0
        case "smooth_activation":
            return inputs if requires_backward else 0
        case "other":
            multiplies_activations = bool(layer.macs) and not layer.parameters
            return inputs if multiplies_activations and requires_backward else int(inputs * trained)


def _whole_bytes(bits: int) -> int:
    return -(-bits // 8)
