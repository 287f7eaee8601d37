"""How many bytes messages of a form have: one template of each, made of the records that really travel, and counted.

Sizes depend on the form alone: on keys, on the number and type of elements, and on nothing that training computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from fedtiny.federation.client_work import Client
from fedtiny.federation.records import ARRAYS, CONFIG, METRICS, array_record, message_bytes, payload_bytes
from fedtiny.strategies.synchronous import client_metrics

Size = tuple[int, int]
"""(bytes that its records count, bytes of the tensors' elements)."""


@dataclass(frozen=True)
class Forms:
    """The forms of one run's messages: vectors of `elements` numbers of this type (float32, float64) travel to the devices."""

    elements: int
    element: str

    def instruction(self, config: Mapping[str, int | float | bool | str], *, arrays: bool) -> Size:
        """Size of an instruction with this configuration, with a vector or without."""
        content = RecordDict({CONFIG: ConfigRecord(dict(config))})
        if arrays:
            content[ARRAYS] = array_record(np.zeros(self.elements, self.element))
        return message_bytes(content), payload_bytes(content)

    def reply(self, elements: int | None) -> Size:
        """Size of a client's reply with so many elements of its own; None: metrics alone."""
        return _reply(elements, self.element)


@dataclass(frozen=True)
class _AnyClient:
    number: int = 0
    examples: int = 1


@cache
def _reply(elements: int | None, element: str) -> Size:
    content = RecordDict({METRICS: MetricRecord({**client_metrics(cast(Client, _AnyClient()), 0.0)})})
    if elements is not None:
        content[ARRAYS] = array_record(np.zeros(elements, element))
    return message_bytes(content), payload_bytes(content)
