"""Which channels train, and where their elements lie in flat vectors."""

import numpy as np
import pytest

from fedtiny.models.summary import LayerFacts, ModelSummary, ParameterFacts
from fedtiny.updates.layout import Layout, TrainableTensor, largest_channels, layout_of, union
from fedtiny.updates.plan import UpdatePlan


def convolution(name, shape, groups=1):
    weight = ParameterFacts(f"{name}.weight", int(np.prod(shape)), "weight", shape)
    facts = {"operator": "convolution", "section": "backbone", "input_elements": 64, "output_elements": 64, "macs": 0, "rate_class": None}
    return LayerFacts(name=name, groups=groups, parameters=(weight,), residual_elements=0, upstream=(), final_in_lite=False, **facts)


SUMMARY = ModelSummary(
    "by_hand",
    (4, 4, 4),
    2,
    (convolution("dense", (2, 4, 1, 1)), convolution("depthwise", (4, 1, 3, 3), 4), convolution("last", (3, 4, 1, 1))),
)
NORMS = np.array([0.1, -5.0, 2.0, 5.0])
VALUES = {
    "dense.weight": np.broadcast_to(NORMS[None, :, None, None], (2, 4, 1, 1)).astype(np.float32),
    "depthwise.weight": np.broadcast_to(NORMS[:, None, None, None], (4, 1, 3, 3)).astype(np.float32),
    "last.weight": np.ones((3, 4, 1, 1), dtype=np.float32),
}


def plan(**channels):
    names = tuple(f"{name}.weight" for name in ("dense", "depthwise", "last"))
    return UpdatePlan("by_hand", names, True, channels=tuple((f"{name}.weight", count) for name, count in channels.items()))


def test_the_channels_of_largest_norm_train_along_the_axis_of_the_input():
    dense, depthwise, last = layout_of(plan(dense=2, depthwise=3), SUMMARY, VALUES).tensors
    assert (dense.axis, dense.channels, dense.trained_shape) == (1, (1, 3), (2, 2, 1, 1))
    assert (depthwise.axis, depthwise.channels, depthwise.trained_shape) == (0, (1, 2, 3), (3, 1, 3, 3))
    assert last.channels is None


def test_of_equal_norms_the_first_channels_train():
    assert largest_channels(VALUES["last.weight"], 1, 2) == (0, 1)


def test_a_layout_is_as_long_as_its_plan_says():
    chosen = plan(dense=2, depthwise=3, last=1)
    assert layout_of(chosen, SUMMARY, VALUES).elements == chosen.trainable_elements(SUMMARY) == 2 * 2 + 3 * 9 + 3 * 1


def test_positions_in_a_union_find_every_element_again():
    small = layout_of(plan(dense=1, last=2), SUMMARY, VALUES)
    other = layout_of(plan(dense=3, depthwise=2, last=1), SUMMARY, VALUES)
    whole = union([small, other], [parameter.name for parameter in SUMMARY.parameters])
    vector = np.arange(float(whole.elements))
    for layout in (small, other):
        positions, start, own = layout.positions_in(whole), 0, {}
        for tensor in layout.tensors:
            own[tensor.name] = vector[positions[start : start + tensor.elements]]
            start += tensor.elements
        for tensor in layout.tensors:
            (theirs,) = (candidate for candidate in whole.tensors if candidate.name == tensor.name)
            full = np.full(np.prod(theirs.shape), -1.0)
            first = sum(one.elements for one in whole.tensors[: whole.tensors.index(theirs)])
            full[theirs.positions()] = vector[first : first + theirs.elements]
            np.testing.assert_array_equal(full[tensor.positions()], own[tensor.name])


def test_a_union_with_a_whole_tensor_is_whole():
    names = [parameter.name for parameter in SUMMARY.parameters]
    both = union([layout_of(plan(dense=1), SUMMARY, VALUES), layout_of(plan(), SUMMARY, VALUES)], names)
    assert both == layout_of(plan(), SUMMARY, VALUES)


def test_elements_that_another_layout_lacks_are_an_error():
    small, large = (layout_of(plan(dense=count), SUMMARY, VALUES) for count in (1, 2))
    assert small.positions_in(large).size == small.elements
    with pytest.raises(ValueError, match="some channels of tensor dense"):
        large.positions_in(small)
    with pytest.raises(ValueError, match="does not train"):
        small.positions_in(Layout((TrainableTensor("last.weight", (3, 4, 1, 1)),)))
