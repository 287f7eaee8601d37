"""What keeps apps apart: copies of what they are given and of what they keep, and randomness of their own.

On real nodes every message is answered in a process of its own, which gets a Context and gives it back. Here all of them share one process,
so the Context is copied both ways, and the global generators of Python, NumPy and torch are those of the message alone.
"""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from flwr.app import Context

from fedtiny.federation.records import isolated
from fedtiny.randomness import Streams, seeded_global_numpy


def copy_of(context: Context) -> Context:
    """A context that shares nothing with this one but the bytes of arrays, which nobody can change."""
    fresh = copy.copy(context)
    fresh.node_config, fresh.run_config = dict(context.node_config), dict(context.run_config)
    fresh.state = isolated(context.state)
    return fresh


def keep(node: Context, used: Context) -> None:
    """What the app left in its copy is what the node keeps, also where the app raised an exception (as on a SuperNode)."""
    left = copy_of(used)
    node.node_config, node.run_config, node.state = left.node_config, left.run_config, left.state


@contextmanager
def own_randomness(streams: Streams, *path: str | int) -> Iterator[None]:
    """Inside this context the global generators start from the stream of this path; afterwards they are as before."""
    seed, before = streams.integer(*path), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]), seeded_global_numpy(streams.digest(*path)):
            random.seed(seed)
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(before)
