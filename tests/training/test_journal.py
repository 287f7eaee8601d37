import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from fedtiny.errors import FolderError
from fedtiny.training.journal import Journal, digest_of, key_of

KEY = key_of("one")


def entry(size=100, value=1.0):
    return {"weights": np.full(size, value, dtype=np.float32), "losses": np.arange(3.0), "none": np.zeros(0)}


def age(journal, key, seconds):
    path = journal.folder / f"{key}.safetensors"
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - seconds))


def test_an_entry_comes_back_bit_by_bit_and_may_be_written_to(tmp_path):
    kept = entry(value=np.nan)
    assert Journal(tmp_path).write(KEY, kept)
    read = Journal(tmp_path).read(KEY)
    assert {name: (array.dtype, array.shape, array.tobytes()) for name, array in read.items()} == {
        name: (array.dtype, array.shape, array.tobytes()) for name, array in kept.items()
    }
    read["weights"][0] = 2.0
    assert Journal(tmp_path).read(key_of("other")) is None


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:]])
def test_a_damaged_entry_is_deleted_with_a_warning(tmp_path, damage):
    journal = Journal(tmp_path)
    journal.write(KEY, entry())
    path = tmp_path / f"{KEY}.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match="damaged"):
        assert journal.read(KEY) is None
    assert list(tmp_path.iterdir()) == []


def test_an_entry_under_the_name_of_another_is_damaged(tmp_path):
    journal = Journal(tmp_path)
    journal.write(KEY, entry())
    (tmp_path / f"{KEY}.safetensors").rename(tmp_path / f"{key_of('two')}.safetensors")
    with pytest.warns(UserWarning, match="damaged"):
        assert journal.read(key_of("two")) is None


def test_what_was_not_used_for_longest_goes_first_and_the_bound_holds(tmp_path):
    before = Journal(tmp_path)
    for name in "abc":
        before.write(key_of(name), entry())
    size = next(tmp_path.iterdir()).stat().st_size
    for name, seconds in (("a", 10), ("b", 30), ("c", 20)):
        age(before, key_of(name), seconds)
    now = Journal(tmp_path, most_bytes=3 * size)
    assert now.write(key_of("d"), entry())
    assert [now.read(key_of(name)) is not None for name in "abcd"] == [True, False, True, True]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * size


def test_a_journal_full_of_this_runs_work_keeps_its_beginning_and_says_so_once(tmp_path):
    size = 0
    probe = Journal(tmp_path / "probe")
    probe.write(KEY, entry())
    size = next((tmp_path / "probe").iterdir()).stat().st_size
    journal = Journal(tmp_path / "journal", most_bytes=2 * size)
    assert journal.write(key_of("a"), entry())
    assert journal.write(key_of("b"), entry())
    with pytest.warns(UserWarning, match="is full"):
        assert not journal.write(key_of("c"), entry())
    assert not journal.write(key_of("d"), entry())
    assert journal.read(key_of("a")) is not None
    assert len(list(journal.folder.iterdir())) == 2


def test_files_that_no_journal_wrote_are_left_alone(tmp_path):
    mine = tmp_path / "thesis.safetensors"
    mine.write_bytes(b"mine" * 1000)
    os.utime(mine, (0, 0))
    with pytest.warns(UserWarning, match="is full"):
        Journal(tmp_path, most_bytes=10).write(KEY, entry())
    assert mine.read_bytes() == b"mine" * 1000


def test_a_killed_writer_leaves_no_half_entry(tmp_path):
    program = (
        "import os, sys, numpy as np; from pathlib import Path; from fedtiny.training.journal import Journal, key_of\n"
        "replace = Path.replace\n"
        "Path.replace = lambda *_: os._exit(9)\n"
        "Journal(Path(sys.argv[1])).write(key_of('one'), {'weights': np.ones(1000)})"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 9
    (left,) = tmp_path.iterdir()
    assert Journal(tmp_path).read(KEY) is None
    os.utime(left, (1, 1))
    assert Journal(tmp_path, most_bytes=1000).write(KEY, entry(10))
    assert [path.name for path in tmp_path.iterdir()] == [f"{KEY}.safetensors"]


def test_readers_and_writers_at_once_see_whole_entries_only(tmp_path):
    journals, wrong = [Journal(tmp_path) for _ in range(4)], []

    def work(journal, value):
        for _ in range(50):
            journal.write(KEY, entry(5000, value))
            read = journal.read(KEY)
            if read is None or len(set(read["weights"].tolist())) != 1:
                wrong.append(read)

    threads = [threading.Thread(target=work, args=(journal, float(number))) for number, journal in enumerate(journals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_key_depends_on_every_part_its_type_and_its_place():
    parts = [
        ("a", "bc"),
        ("ab", "c"),
        ("abc",),
        (b"a", "bc"),
        (1,),
        (1.0,),
        (True,),
        ("1",),
        (None,),
        (0.1,),
        (np.nextafter(0.1, 1).item(),),
    ]
    assert len({key_of(*each) for each in parts}) == len(parts)
    arrays = [np.zeros(4), np.zeros(4, np.float32), np.zeros((2, 2)), np.zeros(5), -np.zeros(4), np.array([0, 0, 0, 1e-300])]
    assert len({digest_of(array) for array in arrays}) == len(arrays)
    assert digest_of(np.arange(8)[::2]) == digest_of(np.arange(8)[::2].copy())


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="cannot hold a journal"):
        Journal(tmp_path / "file" / "journal")
