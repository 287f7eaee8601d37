"""A bar on a terminal, lines elsewhere, nothing with --quiet: seen from the other end of a pseudo-terminal."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from types import SimpleNamespace

import pytest

from fedtiny.progress import Progress
from fedtiny.sweeps.cell import Outcome
from fedtiny.sweeps.forecast import Forecast
from fedtiny.watching import watch
from fedtiny.watching.watch import calibration_progress, run_progress, sweep_progress

WATCHED = """
import sys, time
from fedtiny.progress import Progress
from fedtiny.watching.watch import run_progress
with run_progress(len(sys.argv) > 1) as tell:
    for step in range(5):
        tell(Progress("pre-training", step, 5))
        time.sleep(0.03)
    for number in range(13):
        tell(Progress("rounds", number, 12, 2.5 * number, number / 20))
        time.sleep(0.02)
"""
TINY = """\
name: tiny
model: linear
data: {kind: digits, train_examples: 32}
training: {batch_size: 8, local_steps: 1}
strategy: fedavg
fleet:
  - {count: 2, device: {kind: custom, memory: 1 MB, step_time: 100 ms}, network: {kind: custom, latency: 10 ms}}
stop: {rounds: 3}
"""


def on_a_terminal(*command, columns=100, cwd=None, **environment):
    """What a command writes to a terminal, on standard output and standard error together."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")}
    kept |= {"TERM": "xterm-256color"} | environment
    with subprocess.Popen([sys.executable, *command], stdin=theirs, stdout=theirs, stderr=theirs, env=kept, cwd=cwd) as process:
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
    os.close(ours)
    assert process.returncode == 0, said
    return said.decode()


def _read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that nobody writes there any more
        return b""


# On a terminal


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_a_bar_with_rounds_virtual_time_accuracy_and_time_left_and_leaves_none(columns):
    said = on_a_terminal("-c", WATCHED, columns=columns)
    for wanted in ("━", "\x1b[", "rounds 12/12", "virtual", "accuracy 0.600", "left", "pre-training"):
        assert wanted in said, wanted
    assert said.endswith("\x1b[2K")
    assert "…" not in said


def test_no_color_and_a_plain_terminal_get_lines_without_any_escape_code():
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        said = on_a_terminal("-c", WATCHED, **environment)
        assert "\x1b" not in said
        assert "rounds 12/12, 30 s virtual, accuracy 0.600, done in" in said
    assert "\x1b[" in on_a_terminal("-c", WATCHED, NO_COLOR="")


def test_quiet_is_silent_on_a_terminal():
    assert on_a_terminal("-c", WATCHED, "quiet") == ""


def test_a_run_under_no_color_writes_no_escape_code_whatever_it_prints(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    said = on_a_terminal("-m", "fedtiny", "run", "tiny.yaml", cwd=tmp_path, NO_COLOR="yes")
    assert "\x1b" not in said
    assert "rounds 3/3" in said
    assert "report: runs/tiny/report.html" in said


def test_help_under_no_color_has_no_escape_code():
    said = on_a_terminal("-m", "fedtiny", "run", "--help", NO_COLOR="1")
    assert "Run one scenario" in said
    assert "\x1b" not in said


def test_json_on_a_terminal_is_nothing_but_json(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    said = on_a_terminal("-m", "fedtiny", "plan", "tiny.yaml", "--json", cwd=tmp_path)
    assert json.loads(said)["scenario"] == "tiny"


# Elsewhere


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set; it is no part of what is tested."""
    hand = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(watch.time, "monotonic", lambda: hand.now)
    return hand


def test_a_file_gets_a_line_at_the_start_every_ten_seconds_or_tenth_and_at_the_end(capsys, clock):
    with run_progress(False) as tell:
        for number in range(101):
            tell(Progress("rounds", number, 100, 2.0 * number, 0.5))
            clock.now += 0.5
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert lines[0] == "preparing"
    assert lines[1] == "rounds 0/100, 0 s virtual, accuracy 0.500"
    assert lines[2] == "rounds 10/100, 20 s virtual, accuracy 0.500, about 45 s left"
    assert lines[-1] == "rounds 100/100, 3.33 min virtual, accuracy 0.500, done in 50 s"
    assert len(lines) == 1 + 1 + 10 + 1
    assert "\x1b" not in captured.err


def test_a_long_run_says_something_every_ten_seconds_and_a_very_long_one_less_often(capsys, clock):
    with run_progress(False) as tell:
        for number in range(36_000):
            tell(Progress("rounds", number, None, 2.0 * number))
            clock.now += 1
    assert 100 < len(capsys.readouterr().err.splitlines()) < 500


def test_a_short_run_says_where_it_began_and_ended_and_an_error_ends_without_a_word(capsys, clock):
    with run_progress(False) as tell:
        for number in range(21):
            tell(Progress("rounds", number, 20, 2.0 * number, 0.5 if number % 3 == 0 else None))
    assert len(capsys.readouterr().err.splitlines()) == 3
    with pytest.raises(ValueError, match="wrong"), run_progress(False):
        raise ValueError("wrong")
    assert capsys.readouterr().err == "preparing\n"


def test_a_calibration_is_watched_like_a_run(capsys, clock):
    with calibration_progress(False) as tell:
        tell("steps", 3, 10)
    assert capsys.readouterr().err.splitlines() == ["preparing", "steps 3/10", "steps 3/10, done in 0 s"]
    with calibration_progress(True) as tell:
        tell("steps", 3, 10)
    assert capsys.readouterr().err == ""


def cell(name, **labels):
    return SimpleNamespace(id=name, labels=labels, scenario=SimpleNamespace(seed=3))


def test_a_sweep_says_a_line_for_every_cell_that_ends_and_counts_those_that_were_there(capsys, clock):
    cells = [cell("a1", update="full"), cell("b2", update="last"), cell("c3", update="bias"), cell("d4", update="x")]
    forecast = Forecast(lambda: clock.now)
    with sweep_progress(False, 4, forecast) as tell:
        tell(cells[0], Outcome("a1", "done"))
        tell(cells[2], Outcome("c3", "infeasible", reason="does not fit"))
        forecast.begin([cells[1], cells[3]], [cells[1], cells[3]], {}, lambda: 1)
        clock.now += 20
        tell(cells[1], Outcome("b2", "done", summary={"accuracy": 0.8123, "time_to_target": 12.5}, host_seconds=20.0))
        tell(cells[3], Outcome("d4", "failed", reason="Traceback\n  somewhere\nValueError: too large", host_seconds=1.0))
    assert capsys.readouterr().err.splitlines() == [
        "sweep of 4 runs: checking them",
        "[2/4] c3 update=bias, seed=3: infeasible: does not fit",
        "[3/4] b2 update=last, seed=3: done, accuracy 0.812, time to target 12.5 s; about 20 s left",
        "[4/4] d4 update=x, seed=3: failed: ValueError: too large",
        "4 of 4 runs, 1 of them there already, in 20 s",
    ]


def test_a_quiet_sweep_says_what_failed_and_nothing_else(capsys):
    with sweep_progress(True, 2, Forecast()) as tell:
        tell(cell("a1", update="full"), Outcome("a1", "done", host_seconds=1.0))
        tell(cell("c3", update="bias"), Outcome("c3", "infeasible", reason="does not fit"))
        tell(cell("d4", update="x"), Outcome("d4", "failed", reason="ValueError: too large"))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "d4 update=x, seed=3: failed: ValueError: too large\n")
