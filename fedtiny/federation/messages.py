"""Flower messages with the identity that a grid gives them.

A message made by a strategy or a client app has no id; a grid gives it one by building it again. Error replies come from
the server's own node id, as on a SuperLink, so they are matched by `reply_to_message_id`, never by their source.
"""

from flwr.app import Error, Message, Metadata

from fedtiny.federation.flower_internals import RUN_ID, SERVER_NODE_ID, message_of
from fedtiny.federation.records import isolated

CLIENT_APP_RAISED = 2
MESSAGE_UNAVAILABLE = 3
NODE_UNAVAILABLE = 5
"""Flower's codes for what went wrong with a message (flwr.common.constant.ErrorCode, which is private)."""


def identified(message: Message, message_id: str) -> Message:
    """The instruction with this id and with containers of its own; its arrays' bytes are shared."""
    source = message.metadata
    metadata = Metadata(
        run_id=RUN_ID,
        message_id=message_id,
        src_node_id=SERVER_NODE_ID,
        dst_node_id=source.dst_node_id,
        reply_to_message_id="",
        group_id=source.group_id,
        created_at=source.created_at,
        ttl=source.ttl,
        message_type=source.message_type,
    )
    return message_of(metadata, content=isolated(message.content))


def unavailable(message_id: str, code: int, reason: str, message_type: str = "train") -> Message:
    """The server's own answer to a message that no client answers."""
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
    return message_of(metadata, error=Error(code, reason))


def raised(instruction: Message, error: Exception) -> Message:
    """What a SuperNode replies when its client app raises, in its words."""
    return Message(Error(CLIENT_APP_RAISED, f"{type(error)}:<'{error}'>"), reply_to=instruction)
