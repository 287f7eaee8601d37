"""What travels: Flower records with one flat array of all trainable values, a configuration and metrics.

All trainable tensors of a network travel as one flat array, in the order of the update plan. One array costs one header
of 128 bytes where a network of 250 tensors would pay 250 of them, and every Flower strategy that averages element by
element works on it unchanged (docs/decisions/0003-one-flat-array.md). The receiver knows the shapes: both sides have the
same scenario.
"""

import math
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedtiny.errors import SimulationError
from fedtiny.federation.flower_internals import array_of, entries, with_entries

ARRAYS = "arrays"
CONFIG = "config"
METRICS = "metrics"
TRAINABLE = "trainable"

ROUND = "server-round"
LOCAL_STEPS = "local-steps"
PIECE = "piece"
NUM_EXAMPLES = "num-examples"
PARTITION_ID = "partition-id"
NUM_PARTITIONS = "num-partitions"
UNIFORM_WEIGHT = "uniform-weight"
TRAIN_LOSS = "train-loss"

_STYPE = "numpy.ndarray"
"""What Flower calls the encoding of `numpy.save`."""
_HEADER_LENGTH = 8
_HEADER_START = 10
"""Where a .npy file of version 1.0 states the length of its header, and where that header begins."""

Vector = np.ndarray
"""A flat array of all trainable values, shape (trainable elements,); of a mixed fleet's client, of its own elements."""


def array_record(vector: Vector) -> ArrayRecord:
    """A record that carries one flat vector, encoded as NumPy's `save` does."""
    name, header = _said_of(vector.dtype, len(vector))
    data = b"".join((header, np.ascontiguousarray(vector).data))
    return with_entries(_NO_ARRAYS, {TRAINABLE: array_of(name, vector.shape, _STYPE, data)})


_NO_ARRAYS: Final = ArrayRecord()


@lru_cache(maxsize=64)
def _said_of(element: np.dtype[Any], elements: int) -> tuple[str, bytes]:
    """The name of an element type and the header of so many of them."""
    # writing the text of a .npy header takes longer than copying a small vector
    stream = BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": element.str, "fortran_order": False, "shape": (elements,)})
    return str(element), stream.getvalue()


def vector_of(record: ArrayRecord) -> Vector:
    """The flat vector that a record carries; a fresh, writable array. Raises SimulationError if it is not a flat vector."""
    return values_of(record).copy()


def values_of(record: ArrayRecord) -> Vector:
    """The flat vector that a record carries, to look at: a read-only view of the record's own bytes. Raises as `vector_of` does."""
    data = record[TRAINABLE].data
    # all clients of a round are sent the same bytes, and are then seen to start from the same array
    kept = _views.get(id(data))
    return _viewed(data) if kept is None else kept[1]


_VIEWS_KEPT: Final = 8
_views: dict[int, tuple[bytes, Vector]] = {}
"""The last bytes that were read and their views, by the bytes' identity: looking bytes up by what they are reads all of them."""


def _viewed(data: bytes) -> Vector:
    if len(_views) >= _VIEWS_KEPT:
        del _views[next(iter(_views))]
    view = _view(data)
    # the bytes are kept with their view, so that nothing else can get their identity
    _views[id(data)] = data, view
    return view


def _view(data: bytes) -> Vector:
    start = _HEADER_START + int.from_bytes(data[_HEADER_LENGTH:_HEADER_START], "little")
    element, elements = _described(data[:start])
    return np.frombuffer(data, dtype=element, count=elements, offset=start)


@lru_cache(maxsize=64)
def _described(header: bytes) -> tuple[np.dtype[Any], int]:
    # parsing the text of a .npy header takes longer than copying a small vector, and few different headers occur
    stream = BytesIO(header)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise SimulationError("a message carries an array in an unknown .npy version; expected version 1.0, as NumPy writes it")
    shape, _, element = np.lib.format.read_array_header_1_0(stream)
    if len(shape) != 1:
        raise SimulationError(f"a message carries an array of shape {shape}; expected one flat vector of all trainable values")
    return element, shape[0]


def message_bytes(content: RecordDict) -> int:
    """What the records of a message count, in bytes: what the time of a transfer is charged for."""
    return sum(record.count_bytes() for record in content.values())


def payload_bytes(content: RecordDict) -> int:
    """Bytes of the tensors' elements in a message, without headers, keys, configuration and metrics."""
    arrays = (array for record in content.values() if isinstance(record, ArrayRecord) for array in record.values())
    # Flower's legacy messages carry arrays in .npy, of which they say neither shape nor type
    return sum(math.prod(array.shape) * _bytes_of(array.dtype) if array.dtype else len(array.data) for array in arrays)


@lru_cache(maxsize=64)
def _bytes_of(element: str) -> int:
    return np.dtype(element).itemsize


def isolated(content: RecordDict) -> RecordDict:
    """A copy whose containers are new, so that nobody sees another's edits; the bytes of arrays are shared."""
    return with_entries(content, {key: _copied(record) for key, record in content.items()})


def _copied(record: ArrayRecord | ConfigRecord | MetricRecord) -> ArrayRecord | ConfigRecord | MetricRecord:
    if isinstance(record, ArrayRecord):
        arrays = record.items()
        return with_entries(record, {key: array_of(array.dtype, array.shape, array.stype, array.data) for key, array in arrays})
    # lists are the only values that can be edited in place
    return with_entries(record, {key: value.copy() if isinstance(value, list) else value for key, value in record.items()})


def round_of(content: RecordDict) -> int:
    """The round a message says it belongs to; 0 if it says none."""
    for config in content.values():
        number = entries(config).get(ROUND) if isinstance(config, ConfigRecord) else None
        if isinstance(number, int):
            return number
    return 0


def piece_of(content: RecordDict) -> str:
    """What kind of work within its round a message asks for, in its strategy's own words; empty if it says none."""
    config = entries(content).get(CONFIG)
    piece = entries(config).get(PIECE) if isinstance(config, ConfigRecord) else None
    return piece if isinstance(piece, str) else ""
