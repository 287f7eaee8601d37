"""What travels: one flat array, counted in bytes as Flower counts it and in payload as its elements are."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedtiny.errors import SimulationError
from fedtiny.federation.records import array_record, isolated, message_bytes, payload_bytes, round_of, vector_of

NPY_HEADER = 128


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("elements", [0, 1, 20, 1000])
def test_a_vector_travels_unchanged(dtype, elements):
    vector = np.random.default_rng(0).normal(size=elements).astype(dtype)
    received = vector_of(array_record(vector))
    np.testing.assert_array_equal(received, vector)
    assert received.dtype == dtype


def test_a_received_vector_is_the_receivers_own():
    record = array_record(np.zeros(3))
    vector_of(record)[0] = 7.0
    np.testing.assert_array_equal(vector_of(record), np.zeros(3))


def test_only_flat_vectors_are_taken():
    with pytest.raises(SimulationError, match=r"shape \(2, 3\)"):
        vector_of(ArrayRecord({"trainable": Array(np.zeros((2, 3)))}))


def test_an_array_in_another_format_version_is_refused():
    array = Array(np.zeros(2))
    array.data = array.data.replace(b"NUMPY\x01\x00", b"NUMPY\x02\x00")
    with pytest.raises(SimulationError, match="npy version"):
        vector_of(ArrayRecord({"trainable": array}))


def test_payload_is_the_elements_and_bytes_are_all_that_records_count():
    vector = np.zeros(50, dtype=np.float32)
    content = RecordDict({"arrays": array_record(vector), "config": ConfigRecord({"rate": 0.1}), "metrics": MetricRecord({"loss": 1.0})})
    assert payload_bytes(content) == 4 * 50
    assert message_bytes(content) == sum(record.count_bytes() for record in content.values())
    assert message_bytes(content) > payload_bytes(content) + NPY_HEADER


def test_one_flat_array_costs_one_header():
    content = RecordDict({"arrays": array_record(np.zeros(50, dtype=np.float32))})
    assert message_bytes(content) - payload_bytes(content) - NPY_HEADER <= len("trainable")


def test_a_message_without_arrays_has_no_payload():
    assert payload_bytes(RecordDict({"config": ConfigRecord({"rate": 0.1})})) == 0
    assert message_bytes(RecordDict()) == 0


def test_payload_counts_every_array_of_every_record():
    arrays = ArrayRecord({"a": Array(np.zeros((2, 3))), "b": Array(np.zeros(5, dtype=np.int8)), "c": Array(np.array(1, dtype=np.float32))})
    assert payload_bytes(RecordDict({"one": arrays, "two": array_record(np.zeros(1))})) == 48 + 5 + 4 + 8


def test_an_isolated_content_shares_bytes_and_nothing_else():
    content = RecordDict(
        {"arrays": array_record(np.zeros(3)), "config": ConfigRecord({"steps": [1]}), "metrics": MetricRecord({"losses": [1.0], "n": 1})}
    )
    copied = isolated(content)
    assert copied["arrays"]["trainable"].data is content["arrays"]["trainable"].data
    copied["config"]["steps"].append(2)
    copied["metrics"]["losses"].append(2.0)
    copied["metrics"]["n"] = 2
    copied["arrays"]["trainable"].data = b""
    copied["new"] = ConfigRecord()
    assert list(content) == ["arrays", "config", "metrics"]
    assert (content["config"]["steps"], content["metrics"]["losses"], content["metrics"]["n"]) == ([1], [1.0], 1)
    np.testing.assert_array_equal(vector_of(content["arrays"]), np.zeros(3))


def test_the_round_is_read_from_whatever_record_states_it():
    assert round_of(RecordDict({"a": ConfigRecord({"x": 1}), "b": ConfigRecord({"server-round": 4})})) == 4
    assert round_of(RecordDict({"a": ConfigRecord({"server-round": "four"})})) == 0
    assert round_of(RecordDict()) == 0


@pytest.mark.parametrize("element", [np.float32, np.float64])
@pytest.mark.parametrize("elements", [0, 1, 7850])
def test_a_vector_is_encoded_as_flower_encodes_it(element, elements):
    vector = np.arange(elements, dtype=element)
    ours, flowers = array_record(vector)["trainable"], Array(vector)
    assert (ours.dtype, ours.shape, ours.stype, ours.data) == (flowers.dtype, flowers.shape, flowers.stype, flowers.data)
