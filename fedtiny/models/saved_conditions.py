"""On which gradients it depends whether autograd keeps a tensor: torch is asked, operation by operation.

The gradient of a convolution's weight needs its input, that of its input needs the weight, that of its bias neither; other
operations keep what they keep whatever is asked of them. There are hundreds of kinds of nodes, and releases of torch differ. So every
kind of call that a network makes is made again with copies of its arguments, once for every choice of arguments that need a gradient,
and what the nodes keep is written down. What was kept whenever a certain edge existed is kept for that edge.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

_MOST_COMBINED = 4
_PREFIX = "_saved_"

Observations = dict[tuple[str, str], dict[frozenset[int], bool]]
"""(name of the node, name of what it keeps) -> edges that existed -> whether it was kept."""


class SavedConditions(TorchFunctionMode):
    """Inside the context, every kind of call is tried out once."""

    def __init__(self) -> None:
        TorchFunctionMode.__init__(self)
        self._observed: Observations = defaultdict(dict)
        self._tried: set[Any] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        start = _next_number()
        output = func(*args, **(kwargs or {}))
        if any(nodes_since(start, output)):
            self._try(func, args, kwargs or {})
        return output

    def edges(self, node: Node, what: str) -> frozenset[int]:
        """The edges for any of which the node keeps what it calls by this name; all where nothing is known: never too few."""
        existing = existing_edges(node)
        seen = self._observed.get((node.name(), what), {})
        without = frozenset().union(*(edges for edges, kept in seen.items() if not kept))
        needing = existing - without
        explained = all(kept == bool(needing & edges) for edges, kept in seen.items() if edges <= existing)
        return needing if explained and needing else existing

    def _try(self, func: Callable[..., Any], args: Any, kwargs: Any) -> None:
        tensors = {id(leaf): leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        kind = (func, tuple((position, tensor.dim(), tensor.requires_grad) for position, tensor in enumerate(tensors.values())))
        if kind in self._tried:
            return
        self._tried.add(kind)
        for chosen in _choices([key for key, tensor in tensors.items() if tensor.requires_grad]):
            copies = {key: _copy(tensor, key in chosen) for key, tensor in tensors.items()}
            start = _next_number()
            try:
                output = func(*_replaced(args, copies), **_replaced(kwargs, copies))
            except Exception:  # noqa: BLE001, S112  what cannot be tried out counts as kept always
                continue
            for node in nodes_since(start, output):
                self._write(node)

    def _write(self, node: Node) -> None:
        for what in saved_names(node):
            self._observed[node.name(), what][existing_edges(node)] = getattr(node, what) is not None


def saved_names(node: Node) -> list[str]:
    """What a node may keep, by the names of its attributes; a custom function keeps `saved_tensors`."""
    names = [name for name in dir(node) if name.startswith(_PREFIX)]
    return [*names, "saved_tensors"] if hasattr(node, "saved_tensors") else names


def existing_edges(node: Node) -> frozenset[int]:
    """The inputs of a node that need a gradient."""
    return frozenset(position for position, (before, _) in enumerate(node.next_functions) if before is not None)


def nodes_since(start: int, output: object) -> Iterator[Node]:
    """The nodes behind an output that were made since node number `start`, each once."""
    waiting = [leaf.grad_fn for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.grad_fn is not None]
    seen: set[Node] = set()
    while waiting:
        node = waiting.pop()
        if node in seen or not start <= node._sequence_nr() < _NUMBER_OF_LEAVES:
            continue
        seen.add(node)
        waiting += [before for before, _ in node.next_functions if before is not None]
        yield node


_NUMBER_OF_LEAVES = 2**63
"""Leaves of the graph, which collect the gradients of parameters, have a number beyond all others."""


def _next_number() -> int:
    number: int = torch._C._autograd._get_sequence_nr()
    return number


def _choices(keys: list[int]) -> Iterator[frozenset[int]]:
    """Every choice of arguments; of very many, each alone, all but each, and all."""
    for size in range(1, len(keys) + 1):
        if len(keys) <= _MOST_COMBINED or size in (1, len(keys) - 1, len(keys)):
            yield from (frozenset(chosen) for chosen in combinations(keys, size))


def _copy(tensor: Tensor, needs_gradient: bool) -> Tensor:
    copy = tensor.detach().clone()
    # a clone of the leaf, because a leaf cannot be changed in place
    return copy.requires_grad_().clone() if needs_gradient else copy


def _replaced(value: Any, copies: Mapping[int, Tensor]) -> Any:
    return tree_map_only(Tensor, lambda tensor: copies[id(tensor)], value)
