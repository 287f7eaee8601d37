"""Messages with the identity that a grid gives them."""

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.common.constant import ErrorCode

from fedtiny.federation.messages import CLIENT_APP_RAISED, MESSAGE_UNAVAILABLE, NODE_UNAVAILABLE, instruction_of, raised, unavailable


def test_codes_are_those_of_flower():
    assert (CLIENT_APP_RAISED, MESSAGE_UNAVAILABLE, NODE_UNAVAILABLE) == (
        ErrorCode.CLIENT_APP_RAISED_EXCEPTION,
        ErrorCode.MESSAGE_UNAVAILABLE,
        ErrorCode.NODE_UNAVAILABLE,
    )


def test_an_identified_message_differs_in_its_id_only():
    made = Message(RecordDict({"config": ConfigRecord({"rate": 0.1})}), 5, "train.dga", group_id="3", ttl=9.0)
    found = instruction_of(made.metadata, "17", made.content)
    assert found.metadata.message_id == "17"
    for key in ("dst_node_id", "src_node_id", "message_type", "group_id", "ttl", "created_at", "run_id"):
        assert getattr(found.metadata, key) == getattr(made.metadata, key)
    assert found.content is made.content


def test_the_servers_own_answer_comes_from_the_server():
    reply = unavailable("17", 5, "gone", "evaluate")
    assert (reply.metadata.reply_to_message_id, reply.metadata.src_node_id, reply.metadata.message_type) == ("17", 1, "evaluate")
    assert (reply.error.code, reply.error.reason) == (5, "gone")


def test_an_exception_is_reported_in_the_words_of_a_supernode():
    reply = raised(instruction_of(Message(RecordDict(), 5, "train").metadata, "17", RecordDict()), KeyError("w"))
    assert (reply.error.code, reply.error.reason) == (2, "<class 'KeyError'>:<''w''>")
    assert (reply.metadata.reply_to_message_id, reply.metadata.src_node_id) == ("17", 5)
