"""The one place that touches what Flower keeps private or marks as internal.

Since Flower 1.39 an instruction ``Message(...)`` reads the identity of the sending task from a process-global class of
`flwr.supercore`; without it, making a message raises RuntimeError. It is process-global, so one process has one run id.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flwr.app import Error, Message, Metadata, RecordDict

RUN_ID = 1
SERVER_NODE_ID = 1
SERVER_TASK_ID = 1


@contextmanager
def server_identity() -> Iterator[None]:
    """Inside this context, Flower strategies can make messages; what was set before is put back afterwards."""
    from flwr.supercore.task_identity import TaskIdentity

    before = (TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id)
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN_ID, SERVER_NODE_ID, SERVER_TASK_ID
    try:
        yield
    finally:
        TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = before


def message_of(metadata: Metadata, content: RecordDict | None = None, error: Error | None = None) -> Message:
    """A message with this metadata: the only way to give one an id. The argument `metadata` is internal to Flower."""
    message: Message = Message(metadata=metadata, content=content, error=error)  # type: ignore[call-overload]
    return message


class PendingReply(Message):
    """A reply whose content is made when it is first read; until then it says that it has content, and not which.

    `take` gives what the content is made of, once, without making records of it: for readers in the same process.
    """

    take: Callable[[], Any]

    def __init__(self, metadata: Metadata, take: Callable[[], Any], encode: Callable[[Any], RecordDict]) -> None:
        # no super(): Message's own way in cannot be told to wait for a content
        self.__dict__.update(_metadata=metadata, _content=_UNREAD, _error=None, take=take, _encode=encode)

    @property
    def content(self) -> RecordDict:
        """The content, made now if nobody read it before."""
        if self.__dict__["_content"] is _UNREAD:
            self.__dict__["_content"] = self.__dict__["_encode"](self.__dict__["take"]())
        content: RecordDict = self.__dict__["_content"]
        return content

    @content.setter
    def content(self, value: RecordDict) -> None:
        self.__dict__["_content"] = value


_UNREAD = RecordDict()
