"""The clock of a server app: virtual in its thread while it runs, the machine's own everywhere else.

A server app that sleeps or polls until a deadline was written for a clock that goes on by itself. While it runs, `time.sleep` lets virtual
time pass, and `time.time`, `monotonic` and `perf_counter` (and those with `_ns`) read it, in its own thread and outside the client apps
that are executed in between. `time.time` begins at EPOCH, so that two runs read the same.

The functions of the module `time` are replaced, and so are names that modules have imported from it (Flower's `sample_nodes` sleeps by such
a one). Python's own library keeps the real clock, since it waits for threads, sockets and processes, and so do libraries that do the same
(WAIT_FOR_REAL). `datetime.now` and waiting with `threading.Event` stay real.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import get_ident
from types import ModuleType
from typing import Any, Final

EPOCH: Final = 946_684_800.0
"""What `time.time` reads when a run begins: midnight of 1 January 2000, UTC."""
WAIT_FOR_REAL: Final = frozenset({"joblib", "multiprocess", "ray", "torch"})
"""Libraries whose waiting is for workers of their own."""

_NANOSECONDS: Final = 1_000_000_000
_REAL: Final[dict[str, Callable[..., Any]]] = {
    name: getattr(time, name) for name in ("sleep", "time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns")
}


@dataclass
class ServerClock:
    """Virtual time for the thread that makes it; `now` reads it (s) and `sleep` lets it pass."""

    now: Callable[[], float]
    sleep: Callable[[float], None]
    _thread: int = field(default_factory=get_ident)
    _runs: bool = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside this context the server app runs."""
        put_back = _replace({name: self._virtual_or_real(name) for name in _REAL})
        self._runs = True
        try:
            yield
        finally:
            self._runs = False
            put_back()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Inside this context a client app runs, by the machine's own clock."""
        before, self._runs = self._runs, False
        try:
            yield
        finally:
            self._runs = before

    def date(self) -> datetime:
        """The virtual date, in whichever app."""
        return datetime.fromtimestamp(EPOCH + self.now(), tz=UTC)

    def _virtual_or_real(self, name: str) -> Callable[..., Any]:
        real, virtual = _REAL[name], self._virtual(name)

        def dispatch(*args: Any) -> Any:
            if self._runs and get_ident() == self._thread and not _keeps_real_time(sys._getframe(1).f_globals.get("__name__", "")):
                return virtual(*args)
            return real(*args)

        return dispatch

    def _virtual(self, name: str) -> Callable[..., Any]:
        start = EPOCH if name.startswith("time") else 0.0
        if name == "sleep":
            return self._sleep
        if name.endswith("_ns"):
            return lambda: round((start + self.now()) * _NANOSECONDS)
        return lambda: start + self.now()

    def _sleep(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.sleep(seconds)


def _keeps_real_time(module: str) -> bool:
    """Whether a module waits for something real: one of Python's own, or of libraries with workers."""
    top = module.partition(".")[0]
    return top != "__main__" and (top in sys.stdlib_module_names or top in WAIT_FOR_REAL)


def _replace(by: dict[str, Callable[..., Any]]) -> Callable[[], None]:
    """Puts functions in the places of the real ones, in all modules that are loaded; gives what puts those back."""
    new = {id(_REAL[name]): by[name] for name in by}
    places = [(module, key) for module in _modules() for key, value in list(vars(module).items()) if id(value) in new]
    olds = [(module, key, vars(module)[key]) for module, key in places]
    for module, key, old in olds:
        setattr(module, key, new[id(old)])

    def put_back() -> None:
        for module, key, old in olds:
            setattr(module, key, old)

    return put_back


def _modules() -> list[ModuleType]:
    own = {__name__}
    loaded = [module for name, module in list(sys.modules.items()) if isinstance(module, ModuleType) and name not in own]
    return [time, *(module for module in loaded if module is not time and not _keeps_real_time(module.__name__))]
