"""What training takes of a device's memory, item by item, whatever the accounting: at the peak, and at every moment of a step.

A step is a sequence of moments: one for every layer that computes on the way forward, one on the way back, and the update of the
parameters. An accounting may leave phases out: TinyTL's has the forward pass only. All bytes are for the whole batch.

| item | what it is |
|---|---|
| trainable_parameters, frozen_parameters | the weights |
| buffers | what a network keeps beside its parameters, such as the mean and variance of a frozen norm |
| batch | the inputs and targets of the step |
| saved_activations | what the forward pass keeps for the backward pass |
| transient_activations | what a layer needs while it computes; on the way back also gradients that are on their way |
| residual_activations | the input of a block, kept for its shortcut |
| gradients | the gradients of the parameters |
| optimizer_state | momentum, running means |
| update_buffers | what changing the parameters needs beside all that |
| client_vectors | what a strategy keeps on the device, such as the gradient sums of delayed gradient averaging |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Phase = Literal["forward", "backward", "update"]
PARAMETERS: Final = ("trainable_parameters", "frozen_parameters")
ACTIVATIONS: Final = ("saved_activations", "transient_activations", "residual_activations")


@dataclass(frozen=True)
class Moment:
    """What is occupied while one layer computes."""

    layer: str
    phase: Phase
    items: Mapping[str, int]
    """Bytes by item."""

    @property
    def total_bytes(self) -> int:
        """All items together."""
        return sum(self.items.values())


@dataclass(frozen=True)
class Ledger:
    """What training takes under one accounting."""

    accounting: str
    """tinytl, mcu, autograd ..."""
    batch_size: int
    """Samples in a batch."""
    items: Mapping[str, int]
    """Bytes by item at the peak; they add up to `total_bytes`."""
    peak_layer: str
    """The layer that computes when the peak is reached."""
    moments: tuple[Moment, ...]
    """The step from its beginning to its end; empty where the accounting knows none."""

    @property
    def total_bytes(self) -> int:
        """All items together: what has to fit the device's memory."""
        return sum(self.items.values())

    @property
    def parameter_bytes(self) -> int:
        """Trainable and frozen parameters."""
        return sum(self.items.get(item, 0) for item in PARAMETERS)

    @property
    def activation_bytes(self) -> int:
        """Activations of the whole batch at the peak: saved, transient and residual ones."""
        return sum(self.items.get(item, 0) for item in ACTIVATIONS)


def ledger_of(accounting: str, batch_size: int, moments: tuple[Moment, ...]) -> Ledger:
    """The ledger of a step whose moments are known: its peak is the first of the largest moments."""
    peak = max(moments, key=lambda moment: moment.total_bytes)
    return Ledger(accounting=accounting, batch_size=batch_size, items=peak.items, peak_layer=peak.layer, moments=moments)
