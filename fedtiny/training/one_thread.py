"""One thread for all that torch computes.

Tiny networks run faster on one thread, and a sum over several threads depends on how many cores a machine has: the same
scenario would give other bytes elsewhere, and other bytes on a SuperNode than in virtual time.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside this context, or in a function decorated with it, torch uses one thread; afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
