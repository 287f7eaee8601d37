import numpy as np
import pytest
import torch
from pydantic import ValidationError

from fedtiny.models.quantization import Int8
from fedtiny.models.quantized_network import quantized_convolutions
from fedtiny.randomness import Streams
from fedtiny.training.batches import Batches
from fedtiny.training.local import Examples, FlatNetwork, LocalLearner
from fedtiny.training.optimizer import SGD
from fedtiny.training.quantization_aware_scaling import integer_storage
from fedtiny.updates.layout import Layout, TrainableTensor, own_elements

WEIGHT, BIAS = "blocks.12.main.project.convolution.weight", "blocks.12.main.project.convolution.bias"


def learner(pair, *names: str, part=None, momentum: float = 0.0, **quantized: str) -> LocalLearner:
    examples = Examples(pair.images(16), torch.arange(16) % 5)
    flat = FlatNetwork(pair.integer, names or [name for name, _ in pair.integer.named_parameters()], Int8(**quantized))
    optimizer = SGD(learning_rate=0.05, momentum=momentum)
    return LocalLearner(3, flat, examples, Batches(np.arange(16), 4, Streams(1), ("device", 3)), optimizer, part=part)


def is_whole(values: np.ndarray) -> np.ndarray:
    return np.asarray(values == np.round(values))


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_a_device_that_stores_int8_holds_integers_after_each_step(quantized_pair, rounding):
    client = learner(quantized_pair, WEIGHT, BIAS, "head.weight", storage="int8", rounding=rounding, momentum=0.9)
    count = quantized_pair.integer.get_parameter(WEIGHT).numel() + quantized_pair.integer.get_parameter(BIAS).numel()
    start = client.flat.read()
    weights = start
    for step in range(1, 4):
        weights, _ = client.train(weights, step, 1)
        assert is_whole(weights[:count]).all()
        assert np.abs(weights[: quantized_pair.integer.get_parameter(WEIGHT).numel()]).max() <= 128
    assert not is_whole(weights[count:]).all()
    assert not np.array_equal(weights[:count], start[:count])


def test_what_it_receives_is_rounded(quantized_pair):
    client = learner(quantized_pair, WEIGHT, "head.bias", storage="int8")
    received = client.flat.read() + 0.4
    kept, _ = client.train(received, 1, 0)
    integers = quantized_pair.integer.get_parameter(WEIGHT).numel()
    assert np.array_equal(kept[:integers], (received[:integers] - 0.4).round())
    assert np.array_equal(kept[integers:], received[integers:])


def test_master_values_are_kept_as_they_are(quantized_pair):
    client = learner(quantized_pair, WEIGHT)
    kept, _ = client.train(client.flat.read() + 0.4, 1, 0)
    assert not is_whole(kept).any()


def test_a_step_of_stochastic_rounding_is_reproducible_and_another_for_every_step(quantized_pair):
    client = learner(quantized_pair, WEIGHT, storage="int8", rounding="stochastic")
    received = client.flat.read() + 0.5
    first, again, other = client.train(received, 1, 0)[0], client.train(received, 1, 0)[0], client.train(received, 2, 0)[0]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_stochastic_rounding_is_right_on_average(quantized_pair):
    layout = Layout((TrainableTensor(WEIGHT, tuple(quantized_pair.integer.get_parameter(WEIGHT).shape)),))
    storage = integer_storage(quantized_pair.integer, layout, Int8(storage="int8", rounding="stochastic"))
    values = torch.full((layout.elements,), 3.2, dtype=torch.float64)
    storage.store(values, np.random.Generator(np.random.PCG64(1)))
    assert set(values.tolist()) == {3.0, 4.0}
    assert float(values.mean()) == pytest.approx(3.2, abs=5 * (0.16 / layout.elements) ** 0.5)


def test_a_device_that_trains_a_part_rounds_that_part_and_leaves_the_rest(quantized_pair):
    shape = tuple(quantized_pair.integer.get_parameter(WEIGHT).shape)
    shared, own = (Layout((TrainableTensor(WEIGHT, shape, 1, channels),)) for channels in (None, (0, 2)))
    part = own_elements(own, shared)
    client = learner(quantized_pair, WEIGHT, part=part, storage="int8", momentum=0.9)
    received = client.flat.read() + 0.4
    kept, _ = client.train(received, 1, 3)
    others = np.setdiff1d(np.arange(len(kept)), part.positions)
    assert is_whole(kept[part.positions]).all()
    assert np.array_equal(kept[others], received[others])


def test_what_does_not_train_keeps_every_bit(quantized_pair):
    before = {name: value.clone() for name, value in quantized_pair.integer.state_dict().items()}
    client = learner(quantized_pair, WEIGHT, "head.weight", storage="int8", rounding="stochastic")
    client.train(client.flat.read(), 1, 3)
    after = quantized_pair.integer.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved == {WEIGHT, "head.weight"}


def test_without_scaling_the_same_rate_moves_next_to_nothing(quantized_pair):
    client = learner(quantized_pair, WEIGHT, scaling="none")
    start = client.flat.read()
    slow = np.abs(client.train(start, 1, 1)[0] - start).mean()
    fast = np.abs(learner(quantized_pair, WEIGHT).train(start, 1, 1)[0] - start).mean()
    scale = float(dict(quantized_convolutions(quantized_pair.integer))[WEIGHT.removesuffix(".weight")].weight_scale.mean())
    assert slow / fast < 4 * scale**2
    assert slow > 0


def test_rounding_is_said_only_of_integers():
    with pytest.raises(ValidationError, match="add storage: int8, or leave out rounding: stochastic"):
        Int8(rounding="stochastic")
