"""What may be used is what Linux's files say, in either version of control groups; and nothing is assumed where they say nothing."""

import os

import pytest

from fedtiny.sweeps.machine import free_memory, held_memory, peak_memory, usable_processors

GB = 10**9


@pytest.fixture
def machine(tmp_path):
    """Writes files as Linux has them, below a folder that stands for the root."""

    def write(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


MEMORY = {"proc/meminfo": "MemTotal: 32000000 kB\nMemAvailable:   16000000 kB\n"}
TWO = {"proc/self/cgroup": "0::/a/b\n"}
ONE = {"proc/self/cgroup": "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/\n"}


def test_a_quota_of_any_group_that_we_are_in_bounds_the_processors(machine):
    allowed = len(os.sched_getaffinity(0))
    assert usable_processors(machine({})) == allowed
    assert usable_processors(machine(TWO | {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n"})) == allowed
    assert usable_processors(machine({"sys/fs/cgroup/a/cpu.max": "50000 100000\n"})) == 1
    assert usable_processors(machine({"sys/fs/cgroup/a/cpu.max": "150000 100000\n"})) == min(allowed, 2)


def test_a_quota_of_version_one_counts_also_where_only_its_root_is_mounted(machine):
    root = machine(ONE | {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"})
    assert usable_processors(root) == len(os.sched_getaffinity(0))
    root = machine({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n"})
    assert usable_processors(root) == 1


def test_memory_is_what_is_available_and_what_the_groups_leave(machine):
    assert free_memory(machine({})) is None
    assert free_memory(machine(MEMORY)) == 16_000_000 * 1024
    limits = {"sys/fs/cgroup/a/memory.max": f"{4 * GB}\n", "sys/fs/cgroup/a/memory.current": f"{3 * GB}\n"}
    assert free_memory(machine(TWO | limits)) == GB
    assert free_memory(machine({"sys/fs/cgroup/a/memory.stat": f"anon 5\ninactive_file {GB // 2}\n"})) == GB + GB // 2
    assert free_memory(machine({"sys/fs/cgroup/a/memory.max": "max\n"})) == 16_000_000 * 1024


def test_memory_of_version_one_has_no_limit_where_its_number_is_huge(machine):
    files = {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n"}
    assert free_memory(machine(MEMORY | ONE | files)) == 16_000_000 * 1024
    assert free_memory(machine({"sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GB}\n"})) == GB - 5


def test_the_peak_of_a_process_stays_and_what_it_holds_goes():
    before = peak_memory()
    block = b"x" * 200_000_000
    held = held_memory([os.getpid()])
    del block
    assert peak_memory() > max(before, held) - 2_000_000  # Linux counts each process's pages in batches
    assert held_memory([os.getpid()]) < held - 100_000_000
    assert held_memory([2**22 + 1]) == 0
