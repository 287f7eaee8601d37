"""Plain values out of a pickle, without unpickling it.

A pickle is a program for a machine with a stack, and what Python's unpickler runs may do anything. This reader knows the operations that
make dictionaries, lists, texts and numbers, does them itself on values of its own, and refuses all others before it does anything about
them: nothing is imported, no object is made and nothing is called, whatever the file says (`find_class` is not restricted here, there is
none). Protocols 0 to 5. Source of the operations: the Python standard library's module pickletools, which describes each of them.
"""

import pickletools
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

Value = Any
"""A dictionary, list, text, whole number, real number, truth value or None, and nothing else."""

_MARK: Final = object()


class NotPlain(ValueError):  # noqa: N818  (it says what the content is)
    """A pickle that holds more than plain values, or is none."""


class _Machine:
    """The stack, what was remembered, and where the reader is."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0
        self.stack: list[Any] = []
        self.remembered: dict[int, Value] = {}

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if not 0 <= size <= len(self.content) - self.place:
            raise NotPlain(f"it ends in the middle of an operation at byte {self.place}")
        self.place += size
        return self.content[self.place - size : self.place]

    def line(self) -> str:
        """The bytes up to the end of the line, as a text."""
        end = self.content.find(b"\n", self.place)
        if end < 0:
            raise NotPlain(f"it ends in the middle of an operation at byte {self.place}")
        return self.take(end + 1 - self.place)[:-1].decode("ascii")

    def pop(self) -> Value:
        """What is on top of the stack."""
        value = self.stack.pop()
        if value is _MARK:
            raise NotPlain("an operation finds nothing to work on")
        return value

    def since_mark(self) -> Sequence[Value]:
        """What was put on the stack since the last mark, which goes."""
        values: list[Value] = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def top(self, kind: type) -> Any:
        """What is on top of the stack, and stays there; it must be of this type."""
        if type(self.stack[-1]) is not kind:
            raise NotPlain(f"it adds to something that is no {kind.__name__}")
        return self.stack[-1]


def _number(layout: str) -> Callable[[_Machine], None]:
    reader = struct.Struct(layout)
    size, unpack = reader.size, reader.unpack
    return lambda machine: machine.stack.append(unpack(machine.take(size))[0])


def _text(layout: str, encoding: str) -> Callable[[_Machine], None]:
    reader = struct.Struct(layout)

    def read(machine: _Machine) -> None:
        size = reader.unpack(machine.take(reader.size))[0]
        machine.stack.append(machine.take(size).decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict"))

    return read


def _long(layout: str) -> Callable[[_Machine], None]:
    reader = struct.Struct(layout)

    def read(machine: _Machine) -> None:
        size = reader.unpack(machine.take(reader.size))[0]
        machine.stack.append(int.from_bytes(machine.take(size), "little", signed=True))

    return read


def _constant(value: Value) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(value)


def _skip(size: int) -> Callable[[_Machine], None]:
    def skip(machine: _Machine) -> None:
        machine.take(size)

    return skip


def _decimal(machine: _Machine) -> None:
    text = machine.line()
    # protocol 0 writes truth values as 00 and 01
    machine.stack.append({"00": False, "01": True}[text] if text in ("00", "01") else int(text.rstrip("L")))


def _quoted(machine: _Machine) -> None:
    text = machine.line()
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"" or "\\" in text:
        raise NotPlain("it holds a text that is not written plainly")
    machine.stack.append(text[1:-1])


def _put(layout: str) -> Callable[[_Machine], None]:
    reader = struct.Struct(layout)

    def put(machine: _Machine) -> None:
        machine.remembered[reader.unpack(machine.take(reader.size))[0]] = machine.stack[-1]

    return put


def _get(layout: str) -> Callable[[_Machine], None]:
    reader = struct.Struct(layout)
    return lambda machine: machine.stack.append(machine.remembered[reader.unpack(machine.take(reader.size))[0]])


def _put_line(machine: _Machine) -> None:
    machine.remembered[int(machine.line())] = machine.stack[-1]


def _memoize(machine: _Machine) -> None:
    machine.remembered[len(machine.remembered)] = machine.stack[-1]


def _append(machine: _Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _appends(machine: _Machine) -> None:
    values = machine.since_mark()
    machine.top(list).extend(values)


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.top(dict)[key] = value


def _pairs(values: Sequence[Value]) -> dict[Value, Value]:
    return dict(zip(values[::2], values[1::2], strict=True))


def _set_items(machine: _Machine) -> None:
    values = machine.since_mark()
    machine.top(dict).update(_pairs(values))


_OPERATIONS: Final[dict[str, Callable[[_Machine], None]]] = {
    "PROTO": _skip(1),
    "FRAME": _skip(8),
    "MARK": _constant(_MARK),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "BININT": _number("<i"),
    "BININT1": _number("<B"),
    "BININT2": _number("<H"),
    "BINFLOAT": _number(">d"),
    "LONG1": _long("<B"),
    "LONG4": _long("<I"),
    "INT": _decimal,
    "LONG": _decimal,
    "FLOAT": lambda machine: machine.stack.append(float(machine.line())),
    "STRING": _quoted,
    "UNICODE": lambda machine: machine.stack.append(machine.line()),
    "BINSTRING": _text("<i", "ascii"),
    "SHORT_BINSTRING": _text("<B", "ascii"),
    "SHORT_BINUNICODE": _text("<B", "utf-8"),
    "BINUNICODE": _text("<I", "utf-8"),
    "EMPTY_LIST": lambda machine: machine.stack.append([]),
    "EMPTY_DICT": lambda machine: machine.stack.append({}),
    "LIST": lambda machine: machine.stack.append(list(machine.since_mark())),
    "DICT": lambda machine: machine.stack.append(_pairs(machine.since_mark())),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "PUT": _put_line,
    "BINPUT": _put("<B"),
    "LONG_BINPUT": _put("<I"),
    "MEMOIZE": _memoize,
    "GET": lambda machine: machine.stack.append(machine.remembered[int(machine.line())]),
    "BINGET": _get("<B"),
    "LONG_BINGET": _get("<I"),
}
_NAMES: Final = {ord(operation.code): operation.name for operation in pickletools.opcodes}
_BY_CODE: Final = [_OPERATIONS.get(_NAMES.get(code, "")) for code in range(256)]
_STOP: Final = ord(".")


def plain_values(content: bytes) -> Value:
    """The value that a pickle holds. Raises NotPlain where it asks for anything but plain values, saying what."""
    machine = _Machine(content)
    try:
        _run(machine)
        value = machine.pop()
    except NotPlain:
        raise
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise NotPlain(f"it is no sound pickle at byte {machine.place}: {type(error).__name__}") from error
    if machine.stack:
        raise NotPlain("it leaves more than one value")
    return value


def _run(machine: _Machine) -> None:
    content = machine.content
    while machine.place < len(content):
        code = content[machine.place]
        machine.place += 1
        if code == _STOP:
            return
        operation = _BY_CODE[code]
        if operation is None:
            name = _NAMES.get(code, f"byte {code}")
            raise NotPlain(f"it asks for {name} at byte {machine.place - 1}, which makes more than dictionaries, lists, texts and numbers")
        operation(machine)
    raise NotPlain("it has no end")
