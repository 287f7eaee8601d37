"""Watching a client app at work: how long it took on this machine, and what torch computed meanwhile."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from fedtiny.models.counted_work import CountedWork
from fedtiny.training.counted_work import REFUSES_HOOKS, count_work


@dataclass(frozen=True)
class Observed:
    """What was seen of one piece of work."""

    host_seconds: float
    """On this machine, while it was watched."""
    counted: CountedWork


@dataclass
class Watch:
    """Watches pieces of work, one after the other."""

    counts: bool
    """Whether what torch computes is counted."""
    memory: bool = True
    """Whether what autograd keeps is watched too; turned off for good by the first work that does not take it."""

    def __call__(self, work: Callable[[], None]) -> Observed:
        """Does the work and says what was seen of it; what it raises goes on to the caller."""
        began = time.perf_counter()
        counted = CountedWork()
        if self.counts:
            counted = count_work(work, memory=self.memory)
        else:
            work()
        return Observed(time.perf_counter() - began, counted)

    def must_be_repeated(self, error: BaseException) -> bool:
        """Whether work failed only because it was watched: it is then watched less, and should be done again."""
        if not (self.counts and self.memory and REFUSES_HOOKS in str(error)):
            return False
        self.memory = False
        return True
