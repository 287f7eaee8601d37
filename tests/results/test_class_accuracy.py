"""The accuracy of the model for a device class, by hand: three devices of two classes, two labels, two evaluated versions."""

import pyarrow as pa
import pytest

from fedtiny.results.class_accuracy import accuracy_by_class, classes_hold_different_labels
from fedtiny.results.record import DEVICES, LABELS


def holding(devices, *counts):
    position = DEVICES.get_field_index("label_examples")
    return devices.set_column(position, DEVICES.field(position), pa.array(counts, pa.list_(pa.int64())))


def test_it_weighs_the_labels_as_the_class_holds_them(devices, labels):
    # class 0 holds 15 examples of each label; its devices get 2/8 and 1/2 right, then 8/8 and 1/2
    first, second = accuracy_by_class(holding(devices, [10, 0], [5, 15], [3, 0]), labels)
    assert first.rounds.tolist() == second.rounds.tolist() == [0, 2]
    assert first.accuracy.tolist() == pytest.approx([(0.25 + 0.5) / 2, 0.75])
    assert second.accuracy.tolist() == pytest.approx([0.25, 1.0])
    assert (first.device_class.group, second.device_class.group) == (0, 2)


def test_a_class_that_holds_nothing_has_no_curve(devices, labels):
    (only,) = accuracy_by_class(devices, labels)
    assert only.device_class.group == 0


def test_labels_that_the_test_set_lacks_are_left_out(devices, labels):
    rows = [{**row, "examples": 0, "correct": 0} if row["label"] == 1 else row for row in labels.to_pylist()]
    lacking = pa.Table.from_pylist(rows, schema=LABELS)
    curves = accuracy_by_class(holding(devices, [10, 0], [5, 15], [0, 4]), lacking)
    assert [curve.accuracy.tolist() for curve in curves] == [[0.25, 1.0]]


def test_where_targets_are_no_classes_there_is_nothing_to_tell(devices):
    assert accuracy_by_class(holding(devices, None, None, None), LABELS.empty_table()) == ()
    assert not classes_hold_different_labels(holding(devices, None, None, None))


@pytest.mark.parametrize(
    ("counts", "different"),
    [
        (([10, 10], [0, 0], [10, 10]), False),
        (([10, 10], [10, 10], [21, 19]), False),
        (([10, 10], [10, 10], [12, 8]), True),
        (([10, 0], [0, 10], [5, 5]), False),
        (([10, 0], [10, 0], [0, 5]), True),
        (([10, 0], [10, 0], [0, 0]), False),
    ],
)
def test_classes_differ_if_more_than_a_twentieth_of_their_examples_does(devices, counts, different):
    assert classes_hold_different_labels(holding(devices, *counts)) is different
