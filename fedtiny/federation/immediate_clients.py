"""Clients that do their work when their device's processor turns to it: any Flower ClientApp, run in this process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flwr.app import Context, Message

from fedtiny.errors import ClientError
from fedtiny.federation.messages import instruction_of, raised
from fedtiny.federation.records import isolated, message_bytes, payload_bytes
from fedtiny.federation.task import Task
from fedtiny.simulation.device import Execution
from fedtiny.simulation.trace import Kind
from fedtiny.training.local_work import WorkFailed


@dataclass(frozen=True)
class Effort:
    """What a piece of work will cost, known before it is done: virtual seconds, MACs."""

    seconds: float
    macs: float


@dataclass
class ImmediateClients:
    """A client app that is called for every message; `effort` says what that costs in virtual time and is asked first.

    `raise_errors` turns an app's exception into a ClientError that ends the run; else it becomes an error reply, as on a SuperNode.
    """

    app: Callable[[Message, Context], Message]
    effort: Callable[[Message, Context], Effort]
    raise_errors: bool = False
    edits_messages: bool = True

    def begin(self, task: Task) -> Execution:
        """Does the work; see `Clients.begin`."""
        instruction = instruction_of(task.metadata, task.message_id, task.content)
        effort = self.effort(instruction, task.node.context)
        reply = task.reply = self._answer(instruction, task)
        kind: Kind = "evaluate" if task.metadata.message_type.split(".")[0] == "evaluate" else "train"
        if reply.has_error():
            return Execution(effort.seconds, effort.macs, 0, 0, kind=kind, failed=True)
        task.carries_arrays = bool(reply.content.array_records)
        return Execution(effort.seconds, effort.macs, message_bytes(reply.content), payload_bytes(reply.content), kind=kind)

    def replies(self, tasks: Sequence[Task], *, ahead: bool) -> list[Message]:
        """The replies, which are there; see `Clients.replies`."""
        return [task.reply for task in tasks if task.reply is not None]

    def _answer(self, instruction: Message, task: Task) -> Message:
        try:
            reply = self.app(instruction, task.node.context)
        except Exception as error:
            if self.raise_errors:
                raise failed(task, reason_of(error)) from error
            return raised(instruction, error)
        if reply.has_content():
            reply.content = isolated(reply.content)
        return reply


def failed(task: Task, reason: str) -> ClientError:
    """The end of a run because of what went wrong on a client."""
    traits = task.node.device.traits
    return ClientError(f"device {traits.number} ({traits.device.name}) failed in round {task.round}: {reason}")


def reason_of(error: Exception) -> str:
    """What went wrong, in the words of the exception."""
    return error.reason if isinstance(error, WorkFailed) else f"{type(error).__name__}: {error}"
