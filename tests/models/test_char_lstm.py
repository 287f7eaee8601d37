import pytest
import torch
from pydantic import ValidationError

from fedtiny.costs.memory import tinytl_memory
from fedtiny.errors import ModelError
from fedtiny.models.char_lstm import CharLstm
from fedtiny.models.measure import summarize
from fedtiny.updates.full import Full
from fedtiny.updates.last import Last
from fedtiny.updates.norm_last import NormLast
from fedtiny.updates.tinytl import Bias, TinyTL

SHAPE = (1, 1, 20)


def built(model=None, classes=30, shape=SHAPE):
    return (model or CharLstm()).build(shape, classes, lite_residual=False, generator=torch.Generator().manual_seed(1))


def summary(model=None, classes=30, shape=SHAPE):
    return summarize(built(model, classes, shape), "char_lstm", shape, classes)


def test_leafs_network_has_the_parameters_of_its_layers():
    leaf = CharLstm(embedding=8, hidden=256, layers=2)
    layers = 90 * 8 + 4 * 256 * (8 + 256 + 1) + 4 * 256 * (256 + 256 + 1) + 90 * (256 + 1)
    assert summary(leaf, classes=90, shape=(1, 1, 80)).parameter_elements == layers == 820_522


def test_logits_depend_on_every_character_and_its_place():
    network = built()
    text = torch.arange(20.0).reshape(1, 20)
    logits = network(text)
    assert logits.shape == (1, 30)
    for place in range(20):
        other = text.clone()
        other[0, place] = 29
        assert not torch.equal(network(other), logits)
    assert not torch.equal(network(text.flip(1)), logits)


def test_examples_may_have_the_axes_of_images():
    network = built()
    text = torch.arange(20.0)
    assert torch.equal(network(text.reshape(1, 20)), network(text.reshape(1, 1, 1, 20)))


def test_initial_values_come_from_the_generator_alone():
    torch.manual_seed(1)
    first = built()
    torch.manual_seed(2)
    second = built()
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))
    assert torch.equal(first.lstm[0].forget_bias, torch.ones(64))
    assert torch.count_nonzero(first.lstm[0].bias) == 64
    assert all(weight.abs().max() <= 1 / 8 for weight in (first.lstm[0].weight_ih, first.lstm[0].weight_hh))
    assert 0.8 < first.embedding.weight.std() < 1.2


def test_its_layers_are_embedding_lstm_and_head():
    embedding, lstm, head = summary().layers
    assert [layer.section for layer in (embedding, lstm, head)] == ["backbone", "backbone", "head"]
    assert (embedding.operator, embedding.input_elements, embedding.output_elements, embedding.macs) == ("other", 20, 160, 0)
    assert (lstm.operator, lstm.rate_class, lstm.macs) == ("other", "recurrent", 20 * 4 * 64 * (8 + 64))
    assert (lstm.input_elements, lstm.output_elements, lstm.upstream) == (160, 64, (0,))
    assert (head.operator, head.rate_class, head.macs, head.upstream) == ("linear", "dense_gemm", 64 * 30, (0, 1))


def test_every_scheme_trains_what_it_says():
    facts = summary(CharLstm(layers=2))
    head = {"head.weight", "head.bias"}
    biases = {"lstm.0.bias", "lstm.1.bias"}
    weights = {"embedding.weight"} | {f"lstm.{layer}.weight_{which}" for layer in (0, 1) for which in ("ih", "hh")}
    assert Full().plan(facts).trainable_names == head | biases | weights
    assert Bias().plan(facts).trainable_names == TinyTL(lite_residual=False).plan(facts).trainable_names == head | biases
    assert Last().plan(facts).trainable_names == NormLast().plan(facts).trainable_names == head


def test_biases_train_in_less_memory_than_everything():
    facts = summary()
    full, bias, last = (tinytl_memory(facts, update.plan(facts), 8).total_bytes for update in (Full(), Bias(), Last()))
    assert last <= bias < full


def test_lite_residual_modules_are_refused():
    with pytest.raises(ModelError, match="char_lstm cannot carry lite residual modules"):
        CharLstm().wants_lite_residual(update_trains_lite=True)


def test_images_are_refused():
    with pytest.raises(ModelError, match=r"char_lstm reads a sequence of characters.*found \(1, 8, 8\)"):
        built(shape=(1, 8, 8))


@pytest.mark.parametrize("wrong", [{"hidden": 0}, {"embedding": 0}, {"layers": 0}, {"layers": 9}, {"hidden": 5000}], ids=str)
def test_sizes_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        CharLstm(**wrong)
