import hashlib
import subprocess

import numpy as np
import pytest
from pydantic import ValidationError

from fedtiny.datasets.partition import Natural
from fedtiny.datasets.partition_family import KnownOfClients
from fedtiny.datasets.text import Text, corpus_digest, corpus_files
from fedtiny.errors import DataError
from fedtiny.randomness import Streams

BEE = "the bee is busy and the bee is busy."
ANT = "an ant can carry more than an ant."


@pytest.fixture
def corpus(tmp_path):
    """Two sources: ant.txt, bee.txt, and a file that is none."""
    (tmp_path / "bee.txt").write_text(BEE)
    (tmp_path / "ant.txt").write_text(ANT)
    (tmp_path / "notes.md").write_text("@")
    return tmp_path


def load(path, **keys):
    return Text(path=str(path), **{"sequence_length": 4, **keys}).load(Streams(0))


def spelled(data, indices, alphabet=None):
    alphabet = alphabet or sorted(set(BEE + ANT))
    return ["".join(alphabet[int(index)] for index in row) for row in indices]


def test_every_sequence_is_followed_by_its_target(corpus):
    data = load(corpus)
    cut = [round(0.8 * len(text)) for text in (ANT, BEE)]
    parts = [(text[:end], text[end:]) for text, end in zip((ANT, BEE), cut, strict=True)]
    for which, inputs, targets in ((0, data.train_inputs, data.train_targets), (1, data.test_inputs, data.test_targets)):
        pairs = [(part[which][at : at + 4], part[which][at + 4]) for part in parts for at in range(len(part[which]) - 4)]
        assert spelled(data, inputs) == [sequence for sequence, _ in pairs]
        assert spelled(data, targets[:, None]) == [after for _, after in pairs]
    assert (data.train_inputs.dtype, data.train_targets.dtype) == (np.float32, np.int64)
    assert data.facts == Text(path=str(corpus), sequence_length=4).facts()


def test_nothing_that_is_tested_was_read_in_training(tmp_path):
    (tmp_path / "one.txt").write_text("".join(chr(0x4E00 + number) for number in range(100)))
    data = load(tmp_path, test_share=0.3)
    seen, tested = (
        {*inputs.flatten().tolist(), *targets.tolist()}
        for inputs, targets in ((data.train_inputs, data.train_targets), (data.test_inputs, data.test_targets))
    )
    assert seen == set(range(70))
    assert tested == set(range(70, 100))


def test_examples_begin_a_stride_apart(corpus):
    every, third = load(corpus), load(corpus, stride=3)
    assert third.client_train is not None
    for source in (0, 1):
        assert np.array_equal(third.train_inputs[third.client_train == source], every.train_inputs[every.client_train == source][::3])


def test_a_file_is_a_source_and_a_natural_partition_is_one_of_files(corpus):
    data = load(corpus)
    assert data.client_train.tolist() == [0] * (round(0.8 * len(ANT)) - 4) + [1] * (round(0.8 * len(BEE)) - 4)
    ant, bee = Natural().split(data.train_targets, 2, Streams(0), KnownOfClients(data.client_train))
    assert spelled(data, data.train_inputs[ant[:1]]) == ["an a"]
    assert spelled(data, data.train_inputs[bee[:1]]) == ["the "]


def test_a_subset_keeps_whose_the_examples_are(corpus):
    few, every = load(corpus, train_examples=20), load(corpus)
    assert len(few.train_inputs) == len(few.client_train) == 20
    rows = {(owner, *row) for owner, row in zip(every.client_train, every.train_inputs.tolist(), strict=True)}
    assert all((owner, *row) in rows for owner, row in zip(few.client_train, few.train_inputs.tolist(), strict=True))


def test_the_alphabet_is_what_the_files_have_and_one_class_more(corpus):
    facts = Text(path=str(corpus), sequence_length=7).facts()
    assert (facts.input_shape, facts.classes, facts.characters, facts.categorical) == ((7,), len(set(BEE + ANT)) + 1, True, True)
    assert facts.name == corpus.name
    assert Text(path=str(corpus / "bee.txt")).facts().name == "bee"
    assert Text(path=str(corpus / "*.txt")).facts().name == corpus.name


def test_characters_that_are_not_in_the_alphabet_share_an_index(corpus):
    data = load(corpus, alphabet="ynat ")
    assert data.facts.classes == 6
    assert spelled(data, data.train_inputs, "ynat ?")[:2] == ["an a", "n an"]
    assert spelled(data, data.train_inputs, "ynat ?")[-1].count("?") >= 2
    assert data.train_inputs.max() == data.train_targets.max() == 5


def test_of_too_many_characters_the_most_frequent_are_told_apart(tmp_path):
    rare = "".join(chr(0x4E00 + number) for number in range(1100))
    (tmp_path / "many.txt").write_text(rare + "zz" * 20)
    data = load(tmp_path, test_share=0.02)
    assert data.facts.classes == 1025
    # z, and of the others the 1023 with the lowest code points
    assert data.train_inputs[0].tolist() == [1, 2, 3, 4]
    assert (data.train_inputs[1090] == 1024).all()
    assert (data.test_inputs == 0).all()


def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path):
    (tmp_path / "one.txt").write_bytes(b"a b\nc d\n" * 9)
    (tmp_path / "two.txt").write_bytes(b"\xef\xbb\xbf" + b"a b\r\nc d\r\n" * 9)
    one, two = load(tmp_path / "one.txt"), load(tmp_path / "two.txt")
    assert np.array_equal(one.train_inputs, two.train_inputs)
    assert one.facts.classes == two.facts.classes == 7


def test_a_path_is_a_file_a_folder_or_a_pattern(corpus):
    (corpus / "more").mkdir()
    (corpus / "more" / "cat.txt").write_text("a cat")
    names = {str(path): [file.name for file in corpus_files(path)] for path in (corpus, corpus / "b*.txt", corpus / "**" / "*.txt")}
    assert list(names.values()) == [["ant.txt", "bee.txt"], ["bee.txt"], ["ant.txt", "bee.txt", "cat.txt"]]
    assert corpus_files(corpus / "notes.md") == [corpus / "notes.md"]
    assert corpus_files(corpus / "none") == []


def test_digests_are_those_that_sha256sum_prints(corpus):
    printed = subprocess.run("LC_ALL=C sha256sum *.txt | sha256sum", shell=True, cwd=corpus, capture_output=True, text=True, check=True)
    assert corpus_digest(corpus) == corpus_digest(corpus / "*.txt") == printed.stdout.split()[0]
    assert corpus_digest(corpus / "bee.txt") == hashlib.sha256(BEE.encode()).hexdigest()


def test_text_of_another_digest_is_refused(corpus):
    digest = corpus_digest(corpus)
    assert len(load(corpus, sha256=digest).train_inputs)
    (corpus / "cat.txt").write_text("a cat came to see the ant and the bee")
    with pytest.raises(DataError, match=f"the scenario says {digest}: it is not the same text"):
        load(corpus, sha256=digest)


def test_a_renamed_source_is_another_corpus(corpus):
    digest = corpus_digest(corpus)
    (corpus / "ant.txt").rename(corpus / "cat.txt")
    assert corpus_digest(corpus) != digest


@pytest.mark.parametrize("path", ["none", "none.txt", "*.csv", "more/*.txt"])
def test_no_text_is_an_error_that_says_what_may_be_named(corpus, path):
    with pytest.raises(DataError, match=r"there is no text at .*name a file, a folder with files \*.txt, or a pattern"):
        Text(path=str(corpus / path)).facts()
    with pytest.raises(DataError, match="there is no text at"):
        corpus_digest(corpus / path)


def test_bytes_that_are_no_text_are_named_with_their_place(corpus):
    (corpus / "bad.txt").write_bytes(b"caf\xe9 au lait")
    with pytest.raises(DataError, match=r"bad.txt is not text in UTF-8: byte 0xe9 at offset 3 \(.*\): convert it"):
        Text(path=str(corpus)).facts()


@pytest.mark.parametrize("text", ["", "short", "x" * 24])
def test_a_file_too_short_for_one_example_of_each_part_is_named(corpus, text):
    (corpus / "dog.txt").write_text(text)
    cut = round(0.8 * len(text))
    with pytest.raises(DataError, match=f"dog.txt has {cut} characters to train and {len(text) - cut} to test on, but an example takes 6"):
        load(corpus, sequence_length=5)
    (corpus / "dog.txt").write_text("y" * 30)
    assert load(corpus, sequence_length=5).client_train.max() == 2


def test_a_corpus_or_its_examples_that_would_fill_memory_are_refused(tmp_path):
    with (tmp_path / "large.txt").open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(DataError, match=r"67108865 bytes together, allowed are 67108864: name fewer"):
        Text(path=str(tmp_path)).facts()
    (tmp_path / "large.txt").write_text("ab" * 25000)
    with pytest.raises(DataError, match=r"examples of 4000 characters are more than .* raise stride \(now 1\)"):
        load(tmp_path, sequence_length=4000)
    assert len(load(tmp_path, sequence_length=4000, stride=100).train_inputs) == 360


def test_text_is_no_image(corpus):
    with pytest.raises(DataError, match="need images"):
        load(corpus, image_size=8)


@pytest.mark.parametrize(
    "wrong", [{"sequence_length": 0}, {"stride": 0}, {"test_share": 1.0}, {"alphabet": ""}, {"alphabet": "aba"}, {"sha256": "0"}], ids=str
)
def test_keys_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        Text(path="x", **wrong)
