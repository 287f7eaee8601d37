import pytest

from fedtiny.costs.extra_memory import ExtraMemory, extra_memory


def test_items_of_every_scheme_by_hand(toy, toy_plans):
    """Convolution 192 -> 256 elements, 108 weights, 4 betas; head with 4 inputs."""
    found = {name: extra_memory(toy, plan) for name, plan in toy_plans.items()}
    assert found == {
        "last": ExtraMemory(clamp_masks=0, biases=0, saved_inputs=0, updated_weights=0, head_input=32),
        "bias": ExtraMemory(clamp_masks=256, biases=128, saved_inputs=0, updated_weights=0, head_input=32),
        "norm_last": ExtraMemory(clamp_masks=256, biases=128, saved_inputs=8 * 256, updated_weights=32, head_input=32),
        "full": ExtraMemory(clamp_masks=256, biases=128, saved_inputs=8 * 192, updated_weights=8 * 108, head_input=32),
    }


def test_the_total_is_the_sum_in_bits_bytes_and_kilobytes_of_1024():
    extra = ExtraMemory(clamp_masks=1, biases=32, saved_inputs=80, updated_weights=8, head_input=8 * 1024)
    assert extra.bits == 8313
    assert extra.total_bytes == 1040
    assert extra.kilobytes == 8313 / 8192


def test_a_batch_multiplies_activations_only(toy, toy_plans):
    assert extra_memory(toy, toy_plans["full"], 3) == ExtraMemory(768, 128, 3 * 1536, 864, 96)


def test_an_empty_batch_is_refused(toy, toy_plans):
    with pytest.raises(ValueError, match="at least 1 sample"):
        extra_memory(toy, toy_plans["full"], 0)
