"""Random numbers by place: those of the published generator, and the same whoever asks."""

import numpy as np
import pytest

from fedtiny.fleet.random_table import RandomTable, philox
from fedtiny.randomness import Streams

# Random123's known answers for philox4x32-10: counter, key, words
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_words_are_the_published_ones(counter, key, words):
    found = philox(tuple(np.array([word], np.uint64) for word in counter), key)
    assert [int(word[0]) for word in found] == list(words)


def test_a_number_depends_on_its_place_alone():
    table = RandomTable(Streams(3), "group", 0)
    rows, columns = np.repeat(np.arange(300), 150), np.tile(np.arange(150), 300)
    first, second = table.uniforms(rows, columns)
    some = np.random.default_rng(0).permutation(len(rows))[:999]
    again = table.uniforms(rows[some], columns[some])
    assert (again[0] == first[some]).all()
    assert (again[1] == second[some]).all()
    assert len(np.unique(np.concatenate([first, second]))) == 2 * len(rows)


def test_numbers_are_uniform_and_the_two_of_a_place_independent():
    first, second = RandomTable(Streams(1), "x").uniforms(np.arange(200_000), np.full(200_000, 7))
    for numbers in (first, second):
        counts, _ = np.histogram(numbers, 50, (0, 1))
        assert ((counts - 4000) ** 2 / 4000).sum() < 94.0, "chi-squared with 49 degrees of freedom, p = 0.0001"
        assert 0 < numbers.min() < numbers.max() < 1
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(200_000)


def test_tables_of_other_names_and_seeds_are_others():
    def start(*name, seed=0):
        return RandomTable(Streams(seed), *name).uniforms(np.arange(1), np.arange(1))[0][0]

    assert len({start("a"), start("b"), start("a", 0), start("a", seed=1)}) == 4
