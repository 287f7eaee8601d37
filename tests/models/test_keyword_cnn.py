import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from fedtiny.errors import ModelError
from fedtiny.models.keyword_cnn import KeywordCnn, TemporalBlock
from fedtiny.models.measure import summarize
from fedtiny.updates.tinytl import Bias

# a second of speech: 98 time steps of 40 features, 12 words
SPEECH = (1, 40, 98)


def built(width=1.0, shape=SPEECH, classes=12):
    return KeywordCnn(width=width).build(shape, classes, lite_residual=False, generator=torch.Generator().manual_seed(1))


def summary(width=1.0, shape=SPEECH, classes=12):
    return summarize(built(width, shape, classes), "keyword_cnn", shape, classes)


@pytest.mark.parametrize(("width", "channels", "thousands", "million_operations"), [(1.0, 176, 66, 3.0), (1.5, 264, 145, 6.6)])
def test_parameters_and_operations_are_those_of_the_paper(width, channels, thousands, million_operations):
    """TC-ResNet8 and TC-ResNet8-1.5; the paper counts moving statistics, as many as gammas and betas, and no bias in the head."""
    facts = summary(width)
    norms = sum(one.elements for layer in facts.layers if layer.operator == "normalization" for one in layer.parameters)
    assert round((facts.parameter_elements - 12 + norms) / 1000) == thousands
    assert round(2 * facts.forward_macs / 1e6, 1) == million_operations
    assert norms == 2 * int(width * (16 + 3 * (24 + 32 + 48)))


def test_a_block_is_two_convolutions_beside_one_of_a_single_step():
    block = TemporalBlock(8, 16)
    generator = torch.Generator().manual_seed(3)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    w1, g1, b1, w2, g2, b2, w3, g3, b3 = block.parameters()
    inputs = torch.randn(2, 8, 13, generator=generator)
    hidden = functional.relu(functional.group_norm(functional.conv1d(inputs, w1, stride=2, padding=4), 2, g1, b1))
    main = functional.group_norm(functional.conv1d(hidden, w2, padding=4), 2, g2, b2)
    side = functional.relu(functional.group_norm(functional.conv1d(inputs, w3, stride=2), 2, g3, b3))
    assert torch.equal(block(inputs), functional.relu(main + side))
    assert block(inputs).shape == (2, 16, 7)


def test_features_may_have_any_axes():
    network = built()
    speech = torch.randn(2, 40, 98, generator=torch.Generator().manual_seed(2))
    assert network(speech).shape == (2, 12)
    for shape in ((2, 1, 40, 98), (2, 40, 1, 98), (2, 4, 10, 98)):
        assert torch.equal(network(speech.reshape(shape)), network(speech))


@pytest.mark.parametrize("shape", [(1, 40, 49), (1, 8, 8), (1, 1, 1), (3, 5, 2)], ids=str)
def test_any_number_of_features_and_steps_will_do(shape):
    network = built(width=0.1, shape=shape, classes=3)
    logits = network(torch.randn(2, *shape, generator=torch.Generator().manual_seed(2)))
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()


def test_its_layers_are_convolutions_over_time():
    facts = summary()
    convolutions = [layer for layer in facts.layers if layer.operator == "convolution"]
    assert len(convolutions) == 1 + 3 * 3
    assert {layer.rate_class for layer in convolutions} == {"dense_convolution", "pointwise_convolution"}
    assert [layer.section for layer in facts.layers if layer.parameters][-1] == "head"
    # while a block computes, its input waits for the shortcut
    inside = {layer.residual_elements for layer in facts.layers if layer.name.startswith("blocks.0")}
    assert inside == {16 * 98}
    assert facts.layers[0].residual_elements == 0


def test_the_shortcut_does_not_depend_on_the_convolutions_beside_it():
    facts = summary()
    names = [layer.name for layer in facts.layers]
    shortcut = facts.layers[names.index("blocks.0.shortcut.convolution")]
    assert {names[index] for index in shortcut.upstream} == {"first.convolution", "first.norm"}


def test_biases_are_those_of_norms_and_head():
    names = Bias().plan(summary()).trainable_names
    assert len(names) == 10 + 2
    assert all(name.endswith("norm.bias") or name.startswith("head.") for name in names)


def test_lite_residual_modules_and_impossible_widths_are_refused():
    with pytest.raises(ModelError, match="keyword_cnn cannot carry lite residual modules"):
        KeywordCnn().wants_lite_residual(update_trains_lite=True)
    for width in (0, -1, 17, float("nan")):
        with pytest.raises(ValidationError):
            KeywordCnn(width=width)
