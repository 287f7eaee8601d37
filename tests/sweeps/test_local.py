import atexit
import multiprocessing
import os
import signal
import sys
import time

import pytest

from fedtiny.sweeps.local import default_workers, processes
from fedtiny.sweeps.machine import held_memory


def square(number):
    return number * number


def environment(_):
    return os.environ["OMP_NUM_THREADS"], os.getpid(), [name for name in ("torch", "numpy") if name in sys.modules]


def die_of_two(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def wait(seconds):
    time.sleep(seconds)


def test_every_job_is_done_once_in_other_processes_with_one_thread_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with processes(2) as execute:
        assert sorted(execute(square, range(5), square)) == [0, 1, 4, 9, 16]
        seen = list(execute(environment, range(4), square))
    assert {threads for threads, _, _ in seen} == {"1"}
    assert os.getpid() not in {number for _, number, _ in seen}
    assert {tuple(loaded) for _, _, loaded in seen} == {()}


def test_a_process_that_dies_takes_no_other_job_with_it():
    with processes(2) as execute:
        assert sorted(execute(die_of_two, range(5), lambda job: -job)) == [-2, 0, 1, 3, 4]
        assert sorted(execute(square, range(3), square)) == [0, 1, 4]


def smaller(number):
    return [number - 1] if number % 10 else []


def test_what_a_result_leads_to_begins_before_the_jobs_that_have_not_begun():
    with processes(1) as execute:
        assert list(execute(int, [2, 13, 20], int, smaller)) == [2, 1, 0, 13, 12, 11, 10, 20]
    with processes(2) as execute:
        assert sorted(execute(int, [2, 13, 20], int, smaller)) == [0, 1, 2, 10, 11, 12, 13, 20]


def die_of_two_and_wait(number):
    time.sleep(0.05)
    return os.getpid() if die_of_two(number) else -number


def test_after_a_process_has_died_jobs_go_on_side_by_side():
    with processes(2) as execute:
        found = list(execute(die_of_two_and_wait, [2, *range(3, 20)], lambda job: -job))
    assert found.count(-2) == 1
    alone = 2  # a process died twice, and what ran beside it was done again
    assert len(found) == 18
    assert len(set(found)) <= 2 + 2 + alone


def test_an_interrupt_ends_the_processes_at_once():
    before = set(multiprocessing.active_children())
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _wait_until_interrupted()
    # a process that has ended counts as active until the pool's own thread, which waits for it too, has noted how it ended
    while set(multiprocessing.active_children()) - before and time.monotonic() - started < 30:
        time.sleep(0.05)
    assert set(multiprocessing.active_children()) <= before


def _wait_until_interrupted():
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with processes(2) as execute:
            list(execute(square, range(2), square))
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            list(execute(wait, [60, 60], wait))
    finally:
        signal.signal(signal.SIGALRM, old)


def test_workers_are_at_least_one_and_no_more_than_processors():
    assert 1 <= default_workers() <= (os.cpu_count() or 1)


def pid_after(_):
    time.sleep(0.1)
    return os.getpid()


def test_no_more_processes_start_than_there_are_jobs():
    with processes(4) as execute:
        assert len(set(execute(pid_after, [0, 1], pid_after))) <= 2
        assert len(multiprocessing.active_children()) <= 2


def test_a_module_is_imported_before_the_first_job_and_a_wrong_one_is_the_jobs_business():
    with processes(1, imports="wave") as execute:
        assert list(execute(has_wave, [None], has_wave)) == [True]
    with processes(1, imports="nowhere") as execute:
        assert list(execute(square, [3], square)) == [9]


def has_wave(_):
    return "wave" in sys.modules


def leave_a_note(path):
    atexit.register(path.touch)


def test_what_a_job_wants_done_at_the_end_of_its_process_is_done(tmp_path):
    with processes(1) as execute:
        list(execute(leave_a_note, [tmp_path / "note"], leave_a_note))
    assert (tmp_path / "note").exists()


def hold(job):
    megabytes, seconds = job
    block = bytearray(megabytes * 1_000_000)
    block[::4096] = b"x" * len(block[::4096])
    begun = time.monotonic()
    time.sleep(seconds)
    return begun, time.monotonic()


def most_at_once(spans):
    return max(sum(other[0] <= begun < other[1] for other in spans) for begun, _ in spans)


def test_a_second_job_waits_until_one_has_shown_that_memory_suffices_for_two():
    with processes(2, memory=lambda: 1_200_000_000) as execute:
        spans = sorted(execute(hold, [(10, 0.3)] * 4, hold))
        assert execute.at_once == 2
    assert spans[0][1] <= spans[1][0]
    assert most_at_once(spans) == 2


def test_jobs_that_hold_more_than_was_thought_are_fewer_at_a_time():
    with processes(3, memory=lambda: max(0, 3_000_000_000 - held_by_children())) as execute:
        assert len(list(execute(hold, [(1600, 0.2)], hold))) == 1
        assert execute.at_once == 1
        spans = list(execute(hold, [(10, 0.2)] * 3, hold))
    assert most_at_once(spans) == 1


def held_by_children():
    return held_memory(child.pid for child in multiprocessing.active_children())


def test_without_a_bound_of_memory_as_many_run_as_were_said_and_one_always_does():
    with processes(2) as execute:
        assert most_at_once(list(execute(hold, [(10, 0.5)] * 2, hold))) == 2
    with processes(2, memory=lambda: 0) as execute:
        assert most_at_once(list(execute(hold, [(10, 0.1)] * 2, hold))) == 1
    with processes(2, memory=lambda: None) as execute:
        list(execute(hold, [(10, 0.1)] * 2, hold))
        assert execute.at_once == 2
