"""What Flower keeps private is touched in one place, and put back."""

import pytest
from flwr.app import Error, Message, Metadata, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from fedtiny.federation.flower_internals import RUN_ID, SERVER_NODE_ID, message_of, server_identity


@pytest.fixture(autouse=True)
def identity():
    """No identity to begin with, unlike in the other tests of this folder."""


def test_a_message_cannot_be_made_without_an_identity():
    with pytest.raises(RuntimeError):
        Message(RecordDict(), 2, "train")


def test_a_message_made_with_the_identity_comes_from_the_server():
    with server_identity():
        metadata = Message(RecordDict(), 2, "train").metadata
    assert (metadata.run_id, metadata.src_node_id) == (RUN_ID, SERVER_NODE_ID)


def test_the_identity_is_put_back_also_after_an_error():
    before = (TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id)
    with pytest.raises(ZeroDivisionError), server_identity():
        _ = 1 / 0
    assert (TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id) == before


def test_identities_nest():
    with server_identity():
        with server_identity():
            pass
        assert Message(RecordDict(), 2, "train").metadata.run_id == RUN_ID


def test_a_message_can_be_made_with_an_id():
    metadata = Metadata(1, "77", 1, 2, "", "", 0.0, 1.0, "train")
    assert message_of(metadata, content=RecordDict()).metadata.message_id == "77"
    assert message_of(metadata, error=Error(3, "gone")).error.reason == "gone"
