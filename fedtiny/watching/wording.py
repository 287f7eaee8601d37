"""What is said of a run or a cell while it goes on, as texts."""

from typing import TYPE_CHECKING, Final

from fedtiny.progress import Progress
from fedtiny.reports.quantities import number, seconds

if TYPE_CHECKING:
    from fedtiny.sweeps.axes import Cell
    from fedtiny.sweeps.cell import Outcome

ROUNDS: Final = "rounds"
"""The phase of a run in which virtual time passes."""
_MINUTE: Final = 60
_HOUR: Final = 3600


def share_done(state: Progress) -> float | None:
    """The share of a phase that is done, 0 to 1; None where its end is not known.

    A run ends with its rounds or its virtual time, whichever comes first: of two shares, the larger one.
    """
    shares = [] if state.total is None else [1.0 if state.total == 0 else state.done / state.total]
    if state.phase == ROUNDS and state.until is not None:
        shares.append(state.virtual_time / state.until)
    return min(1.0, max(shares)) if shares else None


def counted(state: Progress) -> str:
    """How far a phase is: "rounds 3/20", "rounds 3"; a phase that counts nothing: its name."""
    if state.total is None and state.phase != ROUNDS:
        return state.phase
    return f"{state.phase} {state.done}" + ("" if state.total is None else f"/{state.total}")


def reached(state: Progress, accuracy: float | None) -> str:
    """What the rounds have come to: "12.3 s/60 s virtual, accuracy 0.810/0.9"; in phases before virtual time begins nothing."""
    if state.phase != ROUNDS:
        return ""
    until = "" if state.until is None else f"/{seconds(state.until)}"
    said = f"{seconds(state.virtual_time)}{until} virtual"
    return said if accuracy is None else f"{said}, accuracy {accuracy:.3f}" + _target(state)


def _target(state: Progress) -> str:
    return "" if state.target is None else f"/{state.target:g}"


def time_left(state: Progress, rest: float | None) -> str:
    """ "about 3 min left"; "at most about 3 min left" where reaching a target may end the run sooner; empty where nothing is known."""
    if rest is None:
        return ""
    what = "" if state.phase == ROUNDS else f" of {state.phase}"
    most = "at most " if state.phase == ROUNDS and state.target is not None else ""
    return f"{most}about {duration(rest)}{what} left"


def duration(value: float) -> str:
    """A time on this machine, in whole seconds or minutes: "40 s", "3 min", "2 h 10 min"."""
    if value < 2 * _MINUTE:
        return f"{value:.0f} s"
    if value < 2 * _HOUR:
        return f"{value / _MINUTE:.0f} min"
    minutes = round(value / _MINUTE)
    return f"{minutes // 60} h {minutes % 60} min"


def clock_face(value: float) -> str:
    """The same for a bar, where it counts down: "0:03:20"."""
    whole = round(value)
    return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02}:{whole % _MINUTE:02}"


def labelled(cell: "Cell") -> str:
    """A cell's id, its values on the axes and its seed."""
    return f"{cell.id} " + ", ".join(f"{key}={value}" for key, value in {**cell.labels, "seed": str(cell.scenario.seed)}.items())


def ended(outcome: "Outcome") -> str:
    """What became of a cell: "done, accuracy 0.81, time to target 12.3 s"; of another end the reason."""
    if outcome.status == "infeasible":  # what could be done about it is for those who ran one scenario, and need it to fit
        return f"{outcome.status}: {outcome.reason.partition(';')[0]}"
    if outcome.status != "done":
        return f"{outcome.status}: {outcome.reason.strip().rpartition(chr(10))[2]}"  # of a traceback, the error
    accuracy, target = outcome.summary.get("accuracy"), outcome.summary.get("time_to_target")
    told = ["done", *([] if accuracy is None else [f"accuracy {number(accuracy)}"])]
    return ", ".join([*told, *([] if target is None else [f"time to target {seconds(target)}"])])
