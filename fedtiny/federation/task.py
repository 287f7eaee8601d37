"""Task: one message on its way through a node, as the device in virtual time sees it, and what becomes of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from flwr.app import Context, Message, Metadata, RecordDict

from fedtiny.federation.client_work import ClientReply
from fedtiny.simulation.device import Execution, SimulatedDevice


@dataclass(frozen=True, slots=True)
class Node:
    """One participant: its device in virtual time, and what its client app keeps."""

    device: SimulatedDevice
    context: Context


@dataclass(slots=True, eq=False)
class Task:
    """One message on its way: what the server pushed, for whom, and its reply."""

    message_id: str
    node: Node
    metadata: Metadata
    """Of the message as the server pushed it: without an id."""
    content: RecordDict
    """As it was when the message was pushed."""
    clients: "Clients"
    arrive: Callable[["Task"], bool]
    """Hands the reply to the server; False where it comes after the end of its round."""
    lost: Callable[["Task", float], None]
    """Tells the server, after so many seconds, that the node's device has left and will not reply."""
    round: int
    bytes: int
    payload_bytes: int
    number: int
    """The running number of the node's device."""
    attempt: int = 0
    """How often the node was asked for this piece of this round before."""
    wanted: bool = True
    """False once the server gave it up."""
    reply: Message | None = None
    """The reply, where it was made as soon as the work began."""
    answer: ClientReply | None = None
    """What the client answered, where it does so later, until it is given away."""
    answered: bool = False
    """Whether the client has answered."""
    carries_arrays: bool = False
    """Whether the reply carries arrays."""

    def begin(self) -> Execution | None:
        """The processor's turn: what the work takes; None if the message's lifetime is over."""
        return self.clients.begin(self) if self.wanted else None

    def deliver(self) -> bool:
        """The reply has arrived: whether it was still awaited."""
        return self.wanted and self.arrive(self)

    def lose(self, after: float) -> None:
        """The device has left: there will be no reply, which the server is told after so many seconds."""
        self.lost(self, after)

    def abandon(self) -> None:
        """The device has dropped out: there will be no reply, and what it was sent need not be kept for it."""
        self.content = RecordDict()


class Clients(Protocol):
    """What answers messages in a simulation: at once, or when somebody reads the answers."""

    edits_messages: bool
    """Whether a client might change a message it was sent, so that every one needs a copy of its own."""

    def begin(self, task: Task) -> Execution:
        """What the work on a message takes, when the node's processor turns to it."""

    def replies(self, tasks: Sequence[Task], *, ahead: bool) -> list[Message]:
        """The replies of tasks that have arrived, which the server now takes together; in the same order.

        `ahead`: it takes replies as they come, so that what other nodes work on is best trained together with them.
        """
