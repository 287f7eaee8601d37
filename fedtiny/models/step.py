"""What autograd does in one training step, as plain facts: no tensors, no torch.

`watch_step.watch_step` makes them by watching one step in which everything trains; what a step keeps and needs when less trains
follows from them, for any batch size (`costs/autograd_memory.py`).

The forward pass is a sequence of operations, numbered from 0, that make storages (blocks of memory that tensors share). Each
operation on something that depends on a parameter adds a node to autograd's graph. A node keeps storages for the way back, leads over
its edges to the nodes and parameters that its inputs came from, and on the way back turns the gradient of its outputs into those of its
inputs. A node exists, and an edge, if a parameter trains that lies behind it; and a storage is kept if one of certain edges exists: the
input of a convolution, say, if there is one to the weight.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Bytes that grow with the batch, and bytes that do not."""

    fixed: int
    per_sample: int

    def of(self, batch_size: int) -> int:
        """Bytes for a batch of this many samples."""
        return self.fixed + self.per_sample * batch_size


@dataclass(frozen=True)
class StorageFacts:
    """A block of memory that the forward pass makes."""

    size: Size
    born: int
    """The operation that makes it."""
    died: int | None
    """The last operation during which the program holds it; None: until the step ends. Who keeps it longer holds it longer."""


@dataclass(frozen=True)
class SavedFacts:
    """A storage that a node keeps for the way back."""

    storage: int
    edges: frozenset[int]
    """It is kept if one of these edges of the node exists."""


@dataclass(frozen=True)
class TemporaryFacts:
    """A storage that a node makes on the way back."""

    size: Size
    born: int
    """The operation of the node that makes it."""
    died: int | None
    """The last operation of the node during which it is held; None where it outlives the node, as a gradient."""
    edges: frozenset[int]
    """The edges whose gradients are made from it: without all of them it is not made."""


@dataclass(frozen=True)
class EdgeFacts:
    """Where a gradient goes that a node makes; exactly one of node and parameter is set."""

    node: int | None
    slot: int
    """Which of that node's gradients it is a part of."""
    parameter: str | None
    temporary: int | None
    """The temporary that holds it; None where it takes no memory of its own."""
    passed: int | None
    """Which of the node's own incoming gradients it is, unchanged or as a view."""
    view: bool
    """Whether it is a view of another tensor: autograd adds nothing to it in place."""


@dataclass(frozen=True)
class NodeFacts:
    """One node of autograd's graph."""

    name: str
    """What autograd calls it: ConvolutionBackward0 ..."""
    layer: str
    made: int
    """The operation of the forward pass that it belongs to."""
    edges: tuple[EdgeFacts | None, ...]
    """None where no parameter lies behind that input."""
    saved: tuple[SavedFacts, ...]
    operations: int
    """How many operations it takes on the way back when everything trains."""
    temporaries: tuple[TemporaryFacts, ...]


@dataclass(frozen=True)
class StepFacts:
    """One training step of a network."""

    element_bytes: int
    """Bytes of a parameter's element: 4, or 8 in float64."""
    buffers: int
    """Bytes that the network keeps beside its parameters."""
    batch: Size
    """Inputs and targets."""
    layers: tuple[str, ...]
    """The layer that each operation of the forward pass belongs to."""
    storages: tuple[StorageFacts, ...]
    nodes: tuple[NodeFacts, ...]
    """In the order in which they were made; on the way back they run in the opposite order."""
