"""Watches which blocks of memory torch's operations make and when they are given back.

A storage is what tensors share that are views of one another. It is made when an operation returns a tensor with a storage that
was not there before, and given back when nothing holds it any more. What a kernel allocates for itself while it runs is not seen.
"""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

OnOperation = Callable[[str, list[int], list[int]], None]
"""(operation, storages that it read, storages that it returned), by their numbers, in the order of the operations."""
OnDeath = Callable[[int], None]


class StorageWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Numbers the storages that are made inside the context; those of `known` tensors are not counted among them."""

    def __init__(self, known: Iterable[Tensor], on_operation: OnOperation, on_death: OnDeath) -> None:
        TorchDispatchMode.__init__(self)  # type: ignore[no-untyped-call]
        self.bytes: list[int] = []
        """Of every storage, by its number."""
        self._numbers: dict[int, int | None] = {}
        self._references: dict[int, Any] = {}
        self._on_operation = on_operation
        self._on_death = on_death
        for tensor in known:
            self.ignore(tensor)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # else torch imports its compiler at the first call, which takes a second and is used by nobody here
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        read = [number for tensor in _tensors((args, kwargs)) if (number := self.number(tensor)) is not None]
        returned = [number for tensor in _tensors(output) if (number := self.number(tensor)) is not None]
        self._on_operation(func.overloadpacket.__name__, read, returned)
        return output

    def number(self, tensor: Tensor) -> int | None:
        """The number of a tensor's storage, a new one if it was not met before; None if it is not to be counted."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._numbers:
            self._follow(storage, len(self.bytes))
            self.bytes.append(storage.nbytes())
        return self._numbers[key]

    def ignore(self, tensor: Tensor) -> None:
        """A tensor's storage is not to be counted."""
        self._follow(tensor.untyped_storage(), None)

    def _follow(self, storage: torch.UntypedStorage, number: int | None) -> None:
        key = storage._cdata
        self._numbers[key] = number
        self._references[key] = weakref.ref(storage, lambda _: self._forget(key))

    def _forget(self, key: int) -> None:
        del self._references[key]
        number = self._numbers.pop(key)
        if number is not None:
            self._on_death(number)


def _tensors(value: object) -> list[Tensor]:
    # torch's own walk through nested values takes ten times as long
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return _tensors([*value.values()])
    return [tensor for one in value for tensor in _tensors(one)] if isinstance(value, (tuple, list)) else []
