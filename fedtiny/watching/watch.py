"""A bar on a terminal; lines in a file, in CI, and where NO_COLOR or a plain terminal asks for no escape codes; nothing with --quiet.

All of it goes to standard error: standard output is what a command was asked for.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from fedtiny.progress import Progress, Report
from fedtiny.watching.pace import Pace
from fedtiny.watching.wording import clock_face, counted, duration, ended, labelled, reached, share_done, time_left

if TYPE_CHECKING:
    from fedtiny.sweeps.axes import Cell
    from fedtiny.sweeps.cell import Outcome
    from fedtiny.sweeps.forecast import Forecast
    from fedtiny.sweeps.sweep import Tell

SecondsLeft = Callable[[], float | None]
"""How long the rest is expected to take now; None: unknown."""

_LINE_SECONDS: Final = 10.0
_TENTHS_SECONDS: Final = 1.0
_LINES: Final = 100
_BAR_WIDTH: Final = 16


def draws_bars() -> bool:
    """Whether standard error is a terminal that may be sent escape codes: NO_COLOR (no-color.org) is empty, TERM not dumb."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


@contextmanager
def run_progress(quiet: bool) -> Iterator[Report]:
    """Shows a run, told of its `experiment.Progress`."""
    if quiet:
        yield lambda _: None
        return
    with _run_bar() if draws_bars() else _run_lines() as tell:
        yield tell


class _Run:
    """What is known of a run."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.accuracy: float | None = None
        self.state: Progress | None = None
        self._pace = Pace()

    def tell(self, state: Progress) -> None:
        """Takes note of a `Progress`."""
        if self.state is None or self.state.phase != state.phase:
            self._pace = Pace()
        if (share := share_done(state)) is not None:
            self._pace.note(time.monotonic(), share)
        self.accuracy = self.accuracy if state.accuracy is None else state.accuracy
        self.state = state

    def left(self) -> float | None:
        """Seconds until the phase is over."""
        return self._pace.left(time.monotonic())

    def line(self, *, over: bool = False) -> str:
        """All of it; of a run that is over, how long it took."""
        now = [] if self.state is None else [counted(self.state), reached(self.state, self.accuracy)]
        if over:
            now.append(f"done in {duration(time.monotonic() - self.begun)}")
        elif self.state is not None:
            now.append(time_left(self.state, self.left()))
        return ", ".join(part for part in now if part)


@contextmanager
def _run_bar() -> Iterator[Report]:
    run = _Run()
    with _bar("{task.fields[more]}", left=run.left) as bar:
        task = bar.add_task("preparing", total=None, more="")

        def tell(state: Progress) -> None:
            run.tell(state)
            share = share_done(state)
            bar.update(task, description=counted(state), completed=share or 0.0, total=None if share is None else 1.0)
            bar.update(task, more=reached(state, run.accuracy))

        yield tell


@contextmanager
def _run_lines() -> Iterator[Report]:
    run, last, tenths = _Run(), time.monotonic(), 0
    say("preparing")

    def tell(state: Progress) -> None:
        nonlocal last, tenths
        begins = run.state is None or run.state.phase != state.phase
        run.tell(state)
        now, passed = time.monotonic(), int(10 * (share_done(state) or 0.0))
        if begins or now - last >= _line_seconds(now - run.begun) or (passed > tenths and now - last >= _TENTHS_SECONDS):
            last, tenths = now, passed
            say(run.line())

    yield tell
    say(run.line(over=True))


def _line_seconds(so_far: float) -> float:
    """Seconds between two lines: ten, and of a run of hours so many that a log stays short."""
    return max(_LINE_SECONDS, so_far / _LINES)


@contextmanager
def calibration_progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Shows a calibration, told what is done and how much of it."""
    with run_progress(quiet) as tell:
        yield lambda what, done, total: tell(Progress(what, done, total))


@contextmanager
def sweep_progress(quiet: bool, cells: int, forecast: "Forecast") -> Iterator["Tell"]:
    """Shows a sweep of so many cells, told of every cell and its outcome, and tells the forecast. What failed is said with --quiet too."""
    if quiet:
        yield _failure
        return
    with _sweep_bar(cells, forecast.left) if draws_bars() else _sweep_lines(cells, forecast.left) as show:

        def tell(cell: "Cell", outcome: "Outcome") -> None:
            forecast.note(outcome)
            show(cell, outcome)

        yield tell


def _failure(cell: "Cell", outcome: "Outcome") -> None:
    if outcome.status == "failed":
        say(f"{labelled(cell)}: {ended(outcome)}")


@contextmanager
def _sweep_bar(cells: int, left: SecondsLeft) -> Iterator["Tell"]:
    with _bar("{task.completed}/{task.total} runs", "{task.fields[more]}", left=left) as bar:
        task = bar.add_task("sweep", total=cells, more="")

        def tell(cell: "Cell", outcome: "Outcome") -> None:
            if outcome.status != "done":
                bar.console.print(f"{labelled(cell)}: {ended(outcome)}", markup=False, highlight=False, soft_wrap=True)
            bar.update(task, advance=1, more=f"last: {ended(outcome)}" if outcome.status == "done" else "")

        yield tell


@contextmanager
def _sweep_lines(cells: int, left: SecondsLeft) -> Iterator["Tell"]:
    begun, told, found = time.monotonic(), 0, 0
    say(f"sweep of {cells} runs: checking them")

    def tell(cell: "Cell", outcome: "Outcome") -> None:
        nonlocal told, found
        told += 1
        if outcome.status == "done" and outcome.host_seconds is None:
            found += 1
            return
        rest = left() if told < cells else None
        say(f"[{told}/{cells}] {labelled(cell)}: {ended(outcome)}" + ("" if rest is None else f"; about {duration(rest)} left"))

    yield tell
    there = f", {found} of them there already" if found else ""
    say(f"{told} of {cells} runs{there}, in {duration(time.monotonic() - begun)}")


def say(line: str) -> None:
    """One line on standard error, at once and without an escape code."""
    print(line.replace("\N{NO-BREAK SPACE}", " "), file=sys.stderr, flush=True)  # noqa: T201


class _LeftColumn(ProgressColumn):
    """Counts down while nobody tells anything."""

    max_refresh = 0.5

    def __init__(self, left: SecondsLeft) -> None:
        ProgressColumn.__init__(self, Column(no_wrap=True))
        self._left = left

    def render(self, task: Task) -> Text:
        rest = self._left()
        return Text("" if task.finished else "-:--:-- left" if rest is None else f"{clock_face(rest)} left", style="progress.remaining")


@contextmanager
def _bar(*texts: str, left: SecondsLeft) -> Iterator[Bar]:
    shown = [TextColumn(text, markup=False, table_column=Column(no_wrap=True)) for text in ("{task.description}", *texts)]
    columns = (shown[0], BarColumn(_BAR_WIDTH), *shown[1:], _LeftColumn(left))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar
