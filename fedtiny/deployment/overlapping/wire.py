"""What a SuperNode's ClientApp and its trainer say to each other over a Unix socket: a line of JSON and one flat array.

A packet is the length of its header (8 bytes, big-endian), the header in JSON, and the bytes of the array whose type and number of
elements the header states; nothing in it is ever executed. No torch here, and nothing of FedTiny: a process that is started for every
message imports this file.
"""

import json
import socket
import struct
from typing import Any, Final

import numpy as np

ROUND: Final = "server-round"
"""Key of a message's configuration: which round it asks for."""
FOLLOWS: Final = "follows-round"
"""Key of a message's configuration: which round the message before it, to the same node, asked for; 0 for the first."""

_LENGTH: Final = struct.Struct(">Q")
_LONGEST_HEADER: Final = 1_000_000
_MOST_ELEMENTS: Final = 2**31
_TYPES: Final = ("float32", "float64")


class ClosedEarlyError(ConnectionError):
    """The other side went away in the middle of a packet, or before one."""


def send(connection: socket.socket, header: dict[str, Any], array: np.ndarray | None = None) -> None:
    """Sends one packet; `array` is flat, float32 or float64."""
    said = header if array is None else {**header, "element": str(array.dtype), "elements": len(array)}
    text = json.dumps(said).encode()
    connection.sendall(_LENGTH.pack(len(text)) + text)
    if array is not None:
        connection.sendall(np.ascontiguousarray(array).tobytes())


def receive(connection: socket.socket) -> tuple[dict[str, Any], np.ndarray | None]:
    """The next packet. Raises ClosedEarlyError where none comes to its end, and ValueError where it is none of ours."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > _LONGEST_HEADER:
        raise ValueError(f"a packet's header of {length} bytes: at most {_LONGEST_HEADER} are allowed")
    header = json.loads(_exactly(connection, length))
    if not isinstance(header, dict):
        raise ValueError("a packet's header is no JSON object")
    if "elements" not in header:
        return header, None
    element, elements = header.pop("element"), header.pop("elements")
    if element not in _TYPES or not isinstance(elements, int) or not 0 <= elements < _MOST_ELEMENTS:
        raise ValueError(f"a packet's array of {elements!r} x {element!r}: only float32 and float64 travel")
    data = _exactly(connection, elements * np.dtype(element).itemsize)
    return header, np.frombuffer(data, dtype=element).copy()


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts, missing = [], count
    while missing:
        part = connection.recv(min(missing, 1 << 20))
        if not part:
            raise ClosedEarlyError("the other side closed the connection")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
