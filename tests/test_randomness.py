"""A stream is PCG64 seeded with the digest of its path as one integer, however that is handed to NumPy."""

import numpy as np
import pytest

from fedtiny.randomness import Streams, _entropy


def plain(entropy: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


@pytest.mark.parametrize("path", [(), ("group", 0, "device", 7), ("batches", 3), (0, "0")])
def test_a_stream_is_seeded_with_its_digest_as_one_integer(path):
    streams = Streams(7)
    wanted = plain(int.from_bytes(streams.digest(*path), "big")).random(5)
    np.testing.assert_array_equal(streams.numpy(*path).random(5), wanted)


@pytest.mark.parametrize("zeros", [0, 1, 3, 4, 5, 8, 31, 32])
def test_words_give_what_the_integer_gives_also_where_it_has_fewer_words(zeros):
    digest = bytes(zeros) + bytes(range(1, 33 - zeros))
    found = np.random.SeedSequence(_entropy(digest)).generate_state(8)
    np.testing.assert_array_equal(found, np.random.SeedSequence(int.from_bytes(digest, "big")).generate_state(8))
