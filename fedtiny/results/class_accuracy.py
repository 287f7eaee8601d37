"""How good each version of the global model is for each device class: its accuracy on the labels that the class holds.

With n_c(l) the training examples of label l on the devices of class c, and a(l) the share of the test examples of label l that a
version gets right,

    accuracy of class c = sum_l n_c(l) a(l) / sum_l n_c(l)

over the labels that the test set has. Devices that take no part count too: a model that was learnt without them is theirs as well.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from fedtiny.results.metrics import DeviceClass, FloatArray, IntArray, device_classes

_DIFFERENT: Final = 0.05
"""Total variation between two mixtures of labels from which on they are worth telling apart."""


@dataclass(frozen=True)
class ClassAccuracy:
    """One device class and how good the evaluated versions are for it."""

    device_class: DeviceClass
    rounds: IntArray
    """The rounds of the evaluated versions, (versions,)."""
    accuracy: FloatArray
    """(versions,)"""


def accuracy_by_class(devices: pa.Table, labels: pa.Table) -> tuple[ClassAccuracy, ...]:
    """The classes that hold examples, in the order of the fleet; none where targets are no classes."""
    if not labels.num_rows:
        return ()
    versions, right = _right_by_label(labels)
    found = []
    for entry, mixture in _mixtures(devices, right.shape[1]):
        known = np.isfinite(right[0]) & (mixture > 0)
        if known.any():
            weights = mixture[known] / mixture[known].sum()
            found.append(ClassAccuracy(entry, versions, np.asarray(right[:, known] @ weights, dtype=np.float64)))
    return tuple(found)


def classes_hold_different_labels(devices: pa.Table) -> bool:
    """Whether the labels that two device classes hold differ by more than chance would have it: 5 % of their examples."""
    mixtures = [mixture / mixture.sum() for _, mixture in _mixtures(devices, 0) if mixture.sum()]
    return any(np.abs(first - second).sum() / 2 > _DIFFERENT for first in mixtures for second in mixtures)


def _right_by_label(labels: pa.Table) -> tuple[IntArray, FloatArray]:
    """The evaluated rounds (versions,) and the share of each label that is right (versions, labels), NaN where the test set has none."""
    rounds, label = (np.asarray(labels[name].to_numpy(), dtype=np.int64) for name in ("round", "label"))
    examples, correct = (np.asarray(labels[name].to_numpy(), dtype=np.float64) for name in ("examples", "correct"))
    versions, rows = np.unique(rounds, return_inverse=True)
    right = np.full((versions.size, int(label.max()) + 1), np.nan)
    right[rows, label] = np.divide(correct, examples, out=np.full(examples.shape, np.nan), where=examples > 0)
    return versions, right


def _mixtures(devices: pa.Table, labels: int) -> list[tuple[DeviceClass, FloatArray]]:
    """The examples of each label on the devices of each class, (labels,) or as many as any device knows."""
    held = devices["label_examples"].to_pylist()
    width = labels or max((len(counts) for counts in held if counts), default=0)
    found = []
    for entry in device_classes(devices):
        total = np.zeros(width)
        for row in entry.rows:
            counts = held[int(row)] or []
            total[: len(counts)] += counts[:width]
        found.append((entry, total))
    return found
