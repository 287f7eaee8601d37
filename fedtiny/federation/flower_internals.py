"""The one place that touches what Flower keeps private or marks as internal.

Since Flower 1.39 an instruction ``Message(...)`` reads the identity of the sending task from a process-global class of
`flwr.supercore`; without it, making a message raises RuntimeError. It is process-global, so one process has one run id.

Flower checks every key, value and argument of what it makes. That is a third of what a message costs here, where most of it is made
of what Flower has checked before: copies and twins are made of an object's entries, without checking them again.
"""

import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, Metadata, MetricRecord, RecordDict

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


def identify(message: Message, message_id: str) -> None:
    """Gives a message its id, as Flower's own grids do with messages that are pushed."""
    message.metadata.__dict__["_message_id"] = message_id


def answer_for(reply: Message, message: Message, message_id: str) -> None:
    """Makes a reply one to a message that is known under this id, whatever was sent in its place, and from the node that it was for."""
    reply.metadata.__dict__.update(_reply_to_message_id=message_id, _src_node_id=message.metadata.dst_node_id)


@contextmanager
def dated(now: Callable[[], Any]) -> Iterator[None]:
    """Inside this context, messages are created at the `datetime` that `now` gives, and their times to live count from there."""
    module = sys.modules[Message.__module__]
    before = vars(module)["now"]
    vars(module)["now"] = now
    try:
        yield
    finally:
        vars(module)["now"] = before


def run_record() -> Any:
    """What Flower's grids say of their run."""
    from flwr.supercore.run import Run

    return Run.create_empty(RUN_ID)


def node_records(node_ids: Sequence[int]) -> list[Any]:
    """What Flower's grids say of the nodes that are there."""
    from flwr.proto.node_pb2 import NodeInfo

    return [NodeInfo(node_id=node_id, status="online") for node_id in node_ids]


def legacy_server() -> Any:
    """The module of Flower's legacy server, whose rounds use threads."""
    return import_module("flwr.server.server")


def reply_metadata(pushed: Metadata, message_id: str) -> Metadata:
    """What a reply to the instruction with this id says of itself."""
    metadata: Metadata = Metadata.__new__(Metadata)
    said = pushed.__dict__
    metadata.__dict__.update(
        _run_id=RUN_ID,
        _message_id="",
        _src_node_id=said["_dst_node_id"],
        _dst_node_id=SERVER_NODE_ID,
        _src_task_id=None,
        _dst_task_id=None,
        _reply_to_message_id=message_id,
        _group_id=said["_group_id"],
        _created_at=said["_created_at"],
        _ttl=said["_ttl"],
        _message_type=said["_message_type"],
    )
    return metadata


def instructions(content: RecordDict, nodes: Sequence[int], message_type: str, group_id: str) -> list[Message]:
    """``Message(content, node, message_type, group_id=group_id)`` for each of the nodes: the first is made so, the others like it."""
    if not nodes:
        return []
    first = Message(content, nodes[0], message_type, group_id=group_id)
    return [first, *(_twin(first, node) for node in nodes[1:])]


def _twin(message: Message, node: int) -> Message:
    twin: Message = Message.__new__(Message)
    metadata: Metadata = Metadata.__new__(Metadata)
    metadata.__dict__.update(message.metadata.__dict__)
    metadata.__dict__["_dst_node_id"] = node
    twin.__dict__.update(message.__dict__)
    twin.__dict__["_metadata"] = metadata
    return twin


RecordT = TypeVar("RecordT", bound=ArrayRecord | ConfigRecord | MetricRecord | RecordDict)


def with_entries(record: RecordT, entries: dict[str, Any]) -> RecordT:
    """A new record of the same kind with these entries, which are of the types that it takes."""
    fresh = object.__new__(type(record))
    kept = record.__dict__
    # what else a record keeps is about its own entries
    fresh.__dict__.update(_check_key_fn=kept["_check_key_fn"], _check_value_fn=kept["_check_value_fn"], _data=entries)
    return fresh


def put(record: ConfigRecord | RecordDict, key: str, value: Any) -> None:
    """``record[key] = value`` of a value that the record takes."""
    record.__dict__["_data"][key] = value


def entries(record: ConfigRecord | RecordDict) -> MutableMapping[str, Any]:
    """What a record holds, to look at: its own entries, which answer ten times faster than the record does."""
    found: MutableMapping[str, Any] = record.__dict__["_data"]
    return found


def array_of(dtype: str, shape: tuple[int, ...], stype: str, data: bytes) -> Array:
    """``Array(dtype, shape, stype, data)`` of fields that have these types."""
    array: Array = Array.__new__(Array)
    array.__dict__.update(dtype=dtype, shape=shape, stype=stype, data=data)
    return array


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

Entries = dict[str, Any]


class _Unread(MutableMapping[str, Any]):
    """The entries of a record, made of a value when they are first asked for; the value is then let go."""

    def __init__(self, value: Any, encode: Callable[[Any], Entries]) -> None:
        self.value, self._encode = value, encode
        self._entries: Entries | None = None

    def entries(self) -> Entries:
        """What the record holds."""
        if self._entries is None:
            self._entries, self.value = dict(ConfigRecord(self._encode(self.value))), None
        return self._entries

    def __getitem__(self, key: str) -> Any:
        return self.entries()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.entries()[key] = value

    def __delitem__(self, key: str) -> None:
        del self.entries()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries())

    def __len__(self) -> int:
        return len(self.entries())

    def copy(self) -> Entries:
        """A dictionary of its own."""
        return dict(self.entries())


def unread_config(value: Any, encode: Callable[[Any], Entries]) -> ConfigRecord:
    """A record whose entries are `encode(value)`, made and checked when somebody reads or changes one; nobody changes `value` before."""
    record = ConfigRecord()
    # where Flower's records keep their entries
    record.__dict__["_data"] = _Unread(value, encode)
    return record


def value_in(record: ConfigRecord) -> Any:
    """What a record of `unread_config` was given, while nobody has read it; else None."""
    data = record.__dict__["_data"]
    return data.value if isinstance(data, _Unread) else None
