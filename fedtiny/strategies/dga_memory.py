"""What a client of DGA keeps between messages (see dga_client.py).

What a client keeps in its Flower `Context`, as the bytes of flat vectors of trainable size (in a mixed fleet `weights` holds
everything that anybody trains, the others the client's own elements):

| key | what |
|---|---|
| `weights` | w^i, never overwritten by the server after the start |
| `sum` | the raw gradients of the round so far |
| `gradient` | the d-th gradient, between *before* and *after* |
| `own-t` | m^i_t of every round t whose average has not been applied |
| `optimizer` | what the optimizer keeps, such as momentum; where the sums are of updates |

Where the sums are of updates (see dga.py), `sum`, `gradient` and `own-t` hold updates u instead of gradients, and the rate is 1.
"""

from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np
from flwr.app import ConfigRecord, RecordDict

from fedtiny.federation.flower_internals import entries, put, unread_config, value_in
from fedtiny.federation.records import Vector

_STATE: Final = "dga"
_OWN: Final = "own-"
_VECTORS: Final = ("weights", "sum", "gradient", "optimizer")


@dataclass
class Memory:
    """It, while the client works on one message. Its vectors are replaced and never written to: they may be those that were kept."""

    weights: Vector | None = None
    sum: Vector | None = None
    gradient: Vector | None = None
    optimizer: Vector | None = None
    own: dict[int, bytes] = field(default_factory=dict)
    """Sums that wait for their average, as raw bytes: most messages only hand them on."""
    open_round: int = 0
    asked: int = 0
    """How many steps were asked for in that round so far."""
    loss: float = 0.0
    unreported: int = 0


def read(state: RecordDict) -> Memory:
    """What the client kept, to be changed at will but for the elements of vectors; what it begins with where that is nothing."""
    record = entries(state).get(_STATE)
    if not isinstance(record, ConfigRecord):
        return Memory()
    kept = value_in(record)
    return _decoded(record) if kept is None else _own(cast(Memory, kept))


def _own(memory: Memory) -> Memory:
    own = Memory()
    own.__dict__.update(memory.__dict__)
    own.own = dict(memory.own)
    return own


def _decoded(record: ConfigRecord) -> Memory:
    element = np.dtype(cast(str, record["element"]))

    def vector(key: str) -> Vector | None:
        return np.frombuffer(cast(bytes, record[key]), dtype=element).copy() if key in record else None

    return Memory(
        weights=vector("weights"),
        sum=vector("sum"),
        gradient=vector("gradient"),
        optimizer=vector("optimizer"),
        own={int(key.removeprefix(_OWN)): cast(bytes, value) for key, value in record.items() if key.startswith(_OWN)},
        open_round=cast(int, record["open-round"]),
        asked=cast(int, record["asked"]),
        loss=cast(float, record["loss"]),
        unreported=cast(int, record["unreported-step"]),
    )


def write(state: RecordDict, memory: Memory) -> None:
    """Keeps it; as bytes, when somebody else reads the record: a SuperNode does after every message."""
    for name in _VECTORS:
        vector = getattr(memory, name)
        # a row of a matrix would keep those of all clients
        if vector is not None and vector.base is not None:
            setattr(memory, name, vector.copy())
    put(state, _STATE, unread_config(memory, _encoded))


def _encoded(memory: Memory) -> dict[str, str | int | float | bytes]:
    vectors = {name: cast(Vector | None, getattr(memory, name)) for name in _VECTORS}
    kept: dict[str, bytes] = {key: vector.tobytes() for key, vector in vectors.items() if vector is not None}
    kept |= {f"{_OWN}{number}": own for number, own in memory.own.items()}
    element = "float32" if memory.weights is None else memory.weights.dtype.name
    numbers = {"open-round": memory.open_round, "asked": memory.asked, "loss": memory.loss, "unreported-step": memory.unreported}
    return {"element": element, **numbers, **kept}
