import pytest

from fedtiny.datasets.base import DatasetFacts
from fedtiny.errors import ScenarioError
from fedtiny.inputs import check_inputs
from fedtiny.models.char_lstm import CharLstm
from fedtiny.models.keyword_cnn import KeywordCnn
from fedtiny.models.linear import Linear
from fedtiny.models.python_network import PythonNetwork
from fedtiny.models.small_cnn import SmallCnn

IMAGES = DatasetFacts("pictures", (3, 8, 8), 10, 8)
SERIES = DatasetFacts("sounds", (40, 49), 10, 1)
NUMBERS = DatasetFacts("columns", (12,), 10, 1)
CHARACTERS = DatasetFacts("plays", (40,), 60, 1, characters=True)


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        *[(model, facts) for model in (Linear(), PythonNetwork(path="n.py", name="N")) for facts in (IMAGES, SERIES, NUMBERS, CHARACTERS)],
        *[(SmallCnn(), IMAGES), (KeywordCnn(), IMAGES), (KeywordCnn(), SERIES), (CharLstm(), CHARACTERS)],
    ],
)
def test_a_network_takes_what_it_reads(model, facts):
    check_inputs(model, facts)


@pytest.mark.parametrize(
    ("model", "facts", "message"),
    [
        (SmallCnn(), SERIES, r"small_cnn needs images .*example of sounds has shape \(40, 49\).*four axes.*keyword_cnn"),
        (SmallCnn(), CHARACTERS, r"small_cnn needs images .*example of plays is a sequence of characters.*char_lstm for text"),
        (KeywordCnn(), NUMBERS, r"keyword_cnn needs features over time.*has shape \(12,\).*three axes"),
        (KeywordCnn(), CHARACTERS, r"keyword_cnn needs features over time.*is a sequence of characters"),
        (CharLstm(), IMAGES, r"char_lstm needs characters.*has shape \(3, 8, 8\): use data of kind text.*small_cnn"),
        (CharLstm(), NUMBERS, r"char_lstm needs characters.*has shape \(12,\): use data of kind text"),
    ],
)
def test_a_network_refuses_what_it_cannot_read_and_says_what_to_do(model, facts, message):
    with pytest.raises(ScenarioError, match=message) as caught:
        check_inputs(model, facts)
    assert caught.value.path == ("data",)
