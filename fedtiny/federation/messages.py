"""Flower messages with the identity that a grid gives them.

A message made by a strategy or a client app has no id; a grid gives it one by building it again. Error replies come from
the server's own node id, as on a SuperLink, so they are matched by `reply_to_message_id`, never by their source.
"""

from typing import Final

from flwr.app import Error, Message, Metadata, RecordDict

from fedtiny.federation.flower_internals import RUN_ID, SERVER_NODE_ID, message_of

CLIENT_APP_RAISED = 2
MESSAGE_UNAVAILABLE = 3
REPLY_UNAVAILABLE = 4
NODE_UNAVAILABLE = 5
CLIENT_APP_CRASHED = 8
"""Flower's codes for what went wrong with a message (flwr.common.constant.ErrorCode, which is private)."""

REASONS: Final = {
    MESSAGE_UNAVAILABLE: "Error: Message Unavailable - The requested message could not be found in the database. It may have expired due "
    "to its TTL, been deleted because the destination SuperNode was removed from the federation, or never existed.",
    REPLY_UNAVAILABLE: "Error: Reply Message Unavailable - The reply message has expired.",
    NODE_UNAVAILABLE: "Error: Node Unavailable — The destination node failed to report a heartbeat within 2 × its expected interval.",
    CLIENT_APP_CRASHED: "ClientApp stopped responding.",
}
"""What Flower 1.41 says of them (flwr/server/superlink/linkstate/utils.py and flwr/supernode/nodestate/in_memory_nodestate.py)."""
OF_THE_SYSTEM: Final = "system"
"""The type of the answer to a message that nobody knows."""


def instruction_of(pushed: Metadata, message_id: str, content: RecordDict) -> Message:
    """The instruction with this id and this content, as its client gets it."""
    metadata = Metadata(
        run_id=RUN_ID,
        message_id=message_id,
        src_node_id=SERVER_NODE_ID,
        dst_node_id=pushed.dst_node_id,
        reply_to_message_id="",
        group_id=pushed.group_id,
        created_at=pushed.created_at,
        ttl=pushed.ttl,
        message_type=pushed.message_type,
    )
    return message_of(metadata, content=content)


def unavailable(message_id: str, code: int, reason: str = "", message_type: str = OF_THE_SYSTEM) -> Message:
    """The server's own answer to a message that no client answers; without a reason, in Flower's words."""
    metadata = Metadata(
        run_id=RUN_ID,
        message_id=f"error-{message_id}",
        src_node_id=SERVER_NODE_ID,
        dst_node_id=SERVER_NODE_ID,
        reply_to_message_id=message_id,
        group_id="",
        created_at=0.0,
        ttl=1.0,
        message_type=message_type,
    )
    return message_of(metadata, error=Error(code, reason or REASONS[code]))


def crashed(instruction: Message) -> Message:
    """What a SuperNode replies when the process of its client app is gone."""
    return Message(Error(CLIENT_APP_CRASHED, REASONS[CLIENT_APP_CRASHED]), reply_to=instruction)


def raised(instruction: Message, error: Exception) -> Message:
    """What a SuperNode replies when its client app raises, in its words."""
    return Message(Error(CLIENT_APP_RAISED, f"{type(error)}:<'{error}'>"), reply_to=instruction)
