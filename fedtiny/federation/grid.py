"""VirtualTimeGrid: a Flower Grid whose waiting is virtual.

Strategies see only a Grid, so the same strategy and the same client app run here and on a real SuperLink. Whoever would
have to wait makes the clock jump: `send_and_receive` jumps to the last reply or the timeout, an empty `pull_messages`
advances by the poll interval or to the next arrival, whichever is sooner.

Semantics follow Flower 1.41: late replies stay pullable (also when the message's lifetime ends before anybody pulls them,
as a real server would have pulled them); a reply is handed over once and asking again gives error 3; a client's exception
becomes an error reply with code 2; error replies come from the server's node id, so replies are matched by
`reply_to_message_id`. Replies are handed over sorted by node id, so sums do not depend on who was faster.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy
from flwr.app import Context, Message, RecordDict, UserConfig
from flwr.serverapp import Grid

from fedtiny.errors import ClientError, SimulationError
from fedtiny.federation.flower_internals import RUN_ID, SERVER_NODE_ID
from fedtiny.federation.messages import MESSAGE_UNAVAILABLE, NODE_UNAVAILABLE, identified, raised, unavailable
from fedtiny.federation.records import isolated, message_bytes, payload_bytes, round_of
from fedtiny.simulation.device import Execution, Process, SimulatedDevice, Work
from fedtiny.simulation.trace import Kind, Trace

FIRST_NODE_ID = SERVER_NODE_ID + 1


class HorizonReached(Exception):  # noqa: N818  (it ends a run as planned; it is not an error)
    """The virtual time the scenario allows is over."""


@dataclass(frozen=True)
class Effort:
    """What a piece of work will cost, known from the plan before it is done: virtual seconds, MACs."""

    seconds: float
    macs: float


@dataclass(frozen=True)
class Node:
    """One participant: its device in virtual time, and what its client app keeps."""

    device: SimulatedDevice
    context: Context


@dataclass
class _Sent:
    """A message that waits for its reply."""

    node_id: int
    round: int
    instruction: Message
    wanted: bool = True


@dataclass(frozen=True)
class Participation:
    """How many of the nodes asked in a round contributed arrays to it in time, and how many did not."""

    participants: int
    failures: int


@dataclass
class VirtualTimeGrid(Grid):
    """A Flower Grid over simulated devices.

    `client_app` is called in this process when a device's processor turns to a message; `effort` says what that costs in
    virtual time and is asked first. `lifetime` (s) is how long a message and its reply are valid, `horizon` (s) ends the
    run by raising HorizonReached, `raise_client_errors` turns a client's exception into a ClientError that ends the run.
    """

    environment: simpy.Environment
    nodes: dict[int, Node]
    client_app: Callable[[Message, Context], Message]
    effort: Callable[[Message, Context], Effort]
    trace: Trace
    poll_interval: float = 3.0
    lifetime: float = math.inf
    horizon: float = math.inf
    raise_client_errors: bool = False
    _asked: dict[int, set[int]] = field(default_factory=dict)
    _contributed: dict[int, set[int]] = field(default_factory=dict)
    _sent: dict[str, _Sent] = field(default_factory=dict)
    _arrived: dict[str, Message] = field(default_factory=dict)
    _awaited: set[str] = field(default_factory=set)
    _closed: int = -1
    """The last round whose version of the model exists: what comes for it now is late."""
    _count: int = 0

    # --- Flower's interface -------------------------------------------------------------------------------------

    def set_run(self, run: Any) -> None:
        """Nothing to set: a grid belongs to one run."""

    @property
    def run(self) -> Any:
        """Refused: a simulated run has no entry in a SuperLink."""
        raise SimulationError("a virtual grid has no Flower run record; use context.run_id and context.run_config instead")

    def create_message(self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None) -> Message:
        """An instruction for a node; deprecated in Flower in favour of ``Message(...)``, and the same."""
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> list[int]:
        """The node ids of all participants, ascending: device number + 2."""
        return sorted(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Sends messages now; those for one node travel as one burst, in order. Returns their ids."""
        bursts: dict[int, list[Work]] = {}
        ids = []
        for message in messages:
            message_id = self._register(message)
            ids.append(message_id)
            node_id = message.metadata.dst_node_id
            if node_id in self.nodes:
                bursts.setdefault(node_id, []).append(self._work(message_id))
            else:
                self._arrive(message_id, self._error(message_id, NODE_UNAVAILABLE, f"node {node_id} is not part of this fleet"))
        for node_id, burst in bursts.items():
            self.nodes[node_id].device.accept(burst)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies that have arrived, each handed over once; if there is none, the clock advances first."""
        ids = list(message_ids)
        if not any(self._answerable(message_id) for message_id in ids):
            self._await(ids)
            missing = len(self._awaited)
            self._run_until(lambda: len(self._awaited) < missing, self.now + self.poll_interval)
        return self._take(ids)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Sends messages and waits, in virtual time, for all replies or the timeout (s)."""
        return self.wait(self.push_messages(messages), timeout)

    # --- what a virtual clock adds ------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Virtual seconds since the run began."""
        return float(self.environment.now)

    def sleep(self, seconds: float) -> None:
        """Lets virtual time pass."""
        self._run_until(lambda: False, self.now + seconds)

    def wait(self, message_ids: Sequence[str], timeout: float | None = None) -> list[Message]:
        """Waits for all these replies or until the timeout (s), and hands over what has arrived."""
        deadline = math.inf if timeout is None else self.now + timeout
        self._await(message_ids)
        self._run_until(lambda: not self._awaited, deadline)
        return self._take(message_ids)

    def close_round(self, number: int) -> Participation:
        """Who took part in a round, as of now; the round is then forgotten."""
        self._closed = number
        asked, contributed = self._asked.pop(number, set()), self._contributed.pop(number, set())
        return Participation(len(contributed), len(asked - contributed))

    # --- inside -------------------------------------------------------------------------------------------------

    def _register(self, message: Message) -> str:
        self._count += 1
        message_id = str(self._count)
        instruction = identified(message, message_id)
        number = round_of(instruction.content)
        self._sent[message_id] = _Sent(message.metadata.dst_node_id, number, instruction)
        self._asked.setdefault(number, set()).add(message.metadata.dst_node_id)
        if math.isfinite(self.lifetime):
            self.environment.process(self._expiry(message_id))
        return message_id

    def _expiry(self, message_id: str) -> Process:
        yield self.environment.timeout(self.lifetime)
        sent = self._sent.get(message_id)
        if sent is not None and message_id not in self._arrived:
            sent.wanted = False
            self._arrive(message_id, self._error(message_id, MESSAGE_UNAVAILABLE, "the message's lifetime is over"))

    def _work(self, message_id: str) -> Work:
        sent = self._sent[message_id]
        node, instruction = self.nodes[sent.node_id], sent.instruction
        self.trace.asked.append((node.device.traits.number, sent.round, self.now))
        reply: list[Message] = []

        def execute() -> Execution:
            effort = self.effort(instruction, node.context)
            reply.append(self._answer(instruction, node))
            failed = reply[0].has_error()
            sizes = (0, 0) if failed else (message_bytes(reply[0].content), payload_bytes(reply[0].content))
            return Execution(effort.seconds, effort.macs, *sizes, kind=_kind(instruction), failed=failed)

        def deliver() -> bool:
            if not sent.wanted:
                return False
            self._arrive(message_id, reply[0])
            return sent.round > self._closed

        return Work(
            round=sent.round,
            bytes=message_bytes(instruction.content),
            payload_bytes=payload_bytes(instruction.content),
            wanted=lambda: sent.wanted,
            execute=execute,
            deliver=deliver,
        )

    def _answer(self, instruction: Message, node: Node) -> Message:
        try:
            reply = self.client_app(instruction, node.context)
        except Exception as error:
            if self.raise_client_errors:
                traits = node.device.traits
                raise ClientError(
                    f"device {traits.number} ({traits.device.name}) failed in round {round_of(instruction.content)}: "
                    f"{type(error).__name__}: {error}"
                ) from error
            return raised(instruction, error)
        if reply.has_content():
            reply.content = isolated(reply.content)
        return reply

    def _error(self, message_id: str, code: int, reason: str) -> Message:
        sent = self._sent.get(message_id)
        return unavailable(message_id, code, reason, sent.instruction.metadata.message_type if sent else "train")

    def _arrive(self, message_id: str, reply: Message) -> None:
        self._arrived[message_id] = reply
        self._awaited.discard(message_id)

    def _await(self, message_ids: Iterable[str]) -> None:
        self._awaited = {message_id for message_id in message_ids if not self._answerable(message_id)}

    def _answerable(self, message_id: str) -> bool:
        return message_id in self._arrived or message_id not in self._sent

    def _run_until(self, done: Callable[[], bool], deadline: float) -> None:
        """Lets virtual time pass until `done` or the deadline (s)."""
        end = min(deadline, self.horizon)
        while not done():
            upcoming = self.environment.peek()
            if math.isinf(upcoming) and math.isinf(end):
                raise SimulationError(f"{len(self._awaited)} replies are awaited and nothing is scheduled that could bring them")
            if upcoming > end:
                self._jump(end)
                if deadline > self.horizon:
                    raise HorizonReached
                return
            self.environment.step()

    def _jump(self, time: float) -> None:
        # a timeout that is made and consumed at once leaves nothing in the queue
        if time > self.now:
            self.environment.timeout(time - self.now)
            self.environment.step()

    def _take(self, message_ids: Iterable[str]) -> list[Message]:
        taken: list[tuple[int, str, Message]] = []
        for message_id in dict.fromkeys(message_ids):
            if message_id in self._arrived:
                sent, reply = self._sent.pop(message_id), self._arrived.pop(message_id)
                if sent.round > self._closed and reply.has_content() and reply.content.array_records:
                    self._contributed.setdefault(sent.round, set()).add(sent.node_id)
                taken.append((sent.node_id, message_id, reply))
            elif message_id not in self._sent:
                taken.append((SERVER_NODE_ID, message_id, self._error(message_id, MESSAGE_UNAVAILABLE, "no such message awaits a reply")))
        return [reply for _, _, reply in sorted(taken, key=lambda item: (item[0], int(item[1]) if item[1].isdigit() else 0))]


def _kind(instruction: Message) -> Kind:
    return "evaluate" if instruction.metadata.message_type.split(".")[0] == "evaluate" else "train"


def node_context(node_id: int, partition: int, partitions: int, run_config: UserConfig | None = None) -> Context:
    """A fresh Flower context for a node: its partition in `node_config`, the app's settings, an empty state."""
    return Context(
        run_id=RUN_ID,
        node_id=node_id,
        node_config={"partition-id": partition, "num-partitions": partitions},
        state=RecordDict(),
        run_config=dict(run_config or {}),
    )
