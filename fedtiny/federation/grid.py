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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import simpy
from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from simpy.events import ProcessGenerator

from fedtiny.errors import SimulationError
from fedtiny.federation.flower_internals import SERVER_NODE_ID
from fedtiny.federation.messages import MESSAGE_UNAVAILABLE, NODE_UNAVAILABLE, unavailable
from fedtiny.federation.nodes import node_context
from fedtiny.federation.task import Clients, Node, Task
from fedtiny.federation.weighed import Weighed, weigh
from fedtiny.simulation.attendance import Attendance, Participation
from fedtiny.simulation.dropout import Attempts
from fedtiny.simulation.roll_call import RollCall
from fedtiny.simulation.trace import Trace

__all__ = ["FIRST_NODE_ID", "HorizonReached", "Participation", "VirtualTimeGrid", "node_context"]

FIRST_NODE_ID = SERVER_NODE_ID + 1


class HorizonReached(BaseException):
    """The virtual time the scenario allows is over: it ends a run as planned, and no server app that catches its own errors keeps it."""


@dataclass
class VirtualTimeGrid(Grid):
    """A Flower Grid over simulated devices.

    `clients` answer the messages: at once, when a device's processor turns to them, or when somebody reads the answers. `lifetime`
    (s) is how long a message and its reply are valid, `horizon` (s) ends the run by raising HorizonReached, and `most_staleness` says by
    how many versions a reply may be behind (None: the strategy works in rounds; see attendance.py).
    """

    environment: simpy.Environment
    nodes: Mapping[int, Node]
    clients: Clients
    trace: Trace
    poll_interval: float = 3.0
    lifetime: float = math.inf
    horizon: float = math.inf
    roll: RollCall | None = None
    """Who is there when; left out: all are, always."""
    _node_ids: list[int] = field(default_factory=list)
    most_staleness: float | None = None
    weigh: Callable[[RecordDict], Weighed] = weigh
    """What finds the round and the size of a message's content."""
    honours_ttl: bool = False
    """Whether a message and its reply are valid for as long as the message itself says (s of virtual time), read or not, as with Flower."""
    _tasks: dict[str, Task | None] = field(default_factory=dict)
    """What was pushed and not handed over; None for a message to a node that is none."""
    _arrived: dict[str, Message | None] = field(default_factory=dict)
    """Error replies that are there; None where a client's reply is."""
    arrival_times: dict[str, float] = field(default_factory=dict)
    """When the replies that were handed over last came (s), by the id of the message they answer."""
    _came_at: dict[str, float] = field(default_factory=dict)
    _awaited: set[str] = field(default_factory=set)
    _attempts: Attempts = field(default_factory=Attempts)
    _count: int = 0

    def __post_init__(self) -> None:
        self._attendance = Attendance(self.trace, self.most_staleness)
        self.trace.in_rounds = self.most_staleness is None

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
        """The node ids of those who are there now, as far as the server knows (simulation/roll_call.py), ascending: device number + 2."""
        return self.members() if self.roll is None else [FIRST_NODE_ID + number for number in self.roll.present(self.now)]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Sends messages now; those for one node travel as one burst, in order. Returns their ids."""
        bursts: dict[int, list[Task]] = {}
        weighed: dict[int, Weighed] = {}
        ids = []
        for message in messages:
            self._count += 1
            message_id = str(self._count)
            ids.append(message_id)
            node_id = message.metadata.dst_node_id
            if node_id in self.nodes:
                bursts.setdefault(node_id, []).append(self._task(message_id, message, weighed))
            else:
                self._tasks[message_id] = None
                reason, kind = f"node {node_id} is not part of this fleet", message.metadata.message_type
                self._arrive(message_id, unavailable(message_id, NODE_UNAVAILABLE, reason, kind))
        for node_id, burst in bursts.items():
            self.nodes[node_id].device.accept(burst)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies that have arrived, each handed over once; if there is none, the clock advances first."""
        ids = list(message_ids)
        if not any(self._answerable(message_id) for message_id in ids):
            self._await(ids)
            self._run_until(self.now + self.poll_interval, len(self._awaited) - 1)
        return self._take(ids, ahead=True)

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
        self._run_until(self.now + seconds)

    def wait(self, message_ids: Sequence[str], timeout: float | None = None) -> list[Message]:
        """Waits for all these replies or until the timeout (s), and hands over what has arrived."""
        deadline = math.inf if timeout is None else self.now + timeout
        self._await(message_ids)
        self._run_until(deadline, 0)
        return self._take(message_ids, ahead=False)

    def wait_for_any(self, message_ids: Sequence[str], timeout: float | None = None) -> list[Message]:
        """Waits for the first of these replies or until the timeout (s), and hands over what has arrived: one reply, unless others
        had come before. With 0 s, what comes at this instant. What other nodes work on is trained with it where it is read."""
        wanted = set(message_ids)
        unknown = set() if self._tasks.keys() >= wanted else wanted - self._tasks.keys()
        if not unknown and self._arrived.keys().isdisjoint(wanted):
            self._awaited = wanted.copy()
            self._run_until(math.inf if timeout is None else self.now + timeout, len(wanted) - 1)
        return self._take(unknown | (self._arrived.keys() & wanted), ahead=True)

    def members(self) -> list[int]:
        """The node ids of all participants, there or not, ascending."""
        if not self._node_ids:
            self._node_ids = sorted(self.nodes)
        return self._node_ids.copy()

    def gather(self, wanted: int) -> list[int]:
        """Waits until so many nodes are there, or all that will ever be, and gives their ids, ascending."""
        if self.roll is not None:
            self.roll.gather(wanted, lambda: self.now, self.sleep, self.trace)
        return self.get_node_ids()

    def is_there(self, node_id: int) -> bool:
        """Whether a node is there now, as far as the server knows."""
        return self.roll is None or self.roll.is_present(node_id - FIRST_NODE_ID, self.now)

    def give_up(self, message_id: str) -> None:
        """The server learns that the node of a message is not there: from now on its answer is error 5, unless a reply has come."""
        task = self._tasks.get(message_id)
        if task is not None:
            self._lose(task, 0.0)

    def close_round(self, number: int) -> Participation:
        """Who took part in a round, as of now; the round is then forgotten."""
        self._attempts.forget(number)
        return Participation(*self._attendance.close(number))

    # --- inside -------------------------------------------------------------------------------------------------

    def _task(self, message_id: str, message: Message, weighed: dict[int, Weighed]) -> Task:
        content = message.content
        known = None if self.clients.edits_messages else weighed.get(id(content))
        if known is None:
            # strategies share one content among all messages of a round and change it for the next
            known = weighed[id(content)] = self.weigh(content)
        metadata = message.metadata
        node = self.nodes[metadata.dst_node_id]
        number = node.device.traits.number
        task = Task(
            message_id=message_id,
            node=node,
            metadata=metadata,
            content=known.content,
            clients=self.clients,
            arrive=self._reply_arrives,
            lost=self._lose,
            round=known.round,
            bytes=known.bytes,
            payload_bytes=known.payload_bytes,
            number=number,
            attempt=self._attempt(node, known, metadata.message_type),
        )
        self._tasks[message_id] = task
        self._attendance.ask(number, task.round)
        self.trace.asked.append((number, task.round, self.environment.now))
        lifetime = min(self.lifetime, metadata.ttl) if self.honours_ttl else self.lifetime
        if math.isfinite(lifetime):
            self.environment.process(self._expiry(task, lifetime))
        return task

    def _attempt(self, node: Node, weighed: Weighed, kind: str) -> int:
        traits = node.device.traits
        return self._attempts.count(traits.number, weighed.round, f"{kind} {weighed.piece}") if traits.dropout else 0

    def _expiry(self, task: Task, lifetime: float) -> ProcessGenerator:
        yield self.environment.timeout(lifetime)
        if task.message_id in self._tasks and (self.honours_ttl or task.message_id not in self._arrived):
            task.wanted = False
            self._arrive(task.message_id, unavailable(task.message_id, MESSAGE_UNAVAILABLE))

    def _lose(self, task: Task, after: float) -> None:
        if after:
            self.environment.timeout(after).callbacks.append(lambda _: self._lose(task, 0.0))
        elif task.message_id in self._tasks and task.message_id not in self._arrived:
            task.wanted = False
            self._arrive(task.message_id, unavailable(task.message_id, NODE_UNAVAILABLE, message_type=task.metadata.message_type))

    def _reply_arrives(self, task: Task) -> bool:
        self._arrive(task.message_id, None)
        return self._attendance.in_time(task.round)

    def _arrive(self, message_id: str, error: Message | None) -> None:
        self._arrived[message_id] = error
        self._came_at[message_id] = self.environment.now
        self._awaited.discard(message_id)

    def _await(self, message_ids: Iterable[str]) -> None:
        self._awaited = {message_id for message_id in message_ids if not self._answerable(message_id)}

    def _answerable(self, message_id: str) -> bool:
        return message_id in self._arrived or message_id not in self._tasks

    def _run_until(self, deadline: float, awaited: int = -1) -> None:
        """Lets virtual time pass until the deadline (s), or until at most so many of the awaited replies are missing."""
        end, missing, step, upcoming = min(deadline, self.horizon), self._awaited, self.environment.step, self.environment.peek
        try:
            while len(missing) > awaited:
                if upcoming() > end:
                    self._jump(end)
                    if deadline > self.horizon:
                        raise HorizonReached
                    return
                step()
        except simpy.core.EmptySchedule:
            raise SimulationError(f"{len(missing)} replies are awaited and nothing is scheduled that could bring them") from None

    def _jump(self, time: float) -> None:
        # a timeout that is made and consumed at once leaves nothing in the queue
        if time > self.now:
            self.environment.timeout(time - self.now)
            self.environment.step()

    def _take(self, message_ids: Iterable[str], *, ahead: bool) -> list[Message]:
        """Hands over what has arrived, in the order of nodes; asking for what is not there, or again, gives an error."""
        taken: list[tuple[int, int, str, Message | Task]] = []
        self.arrival_times = {}
        for message_id in dict.fromkeys(message_ids):
            if message_id in self._arrived:
                task, error = self._tasks.pop(message_id), self._arrived.pop(message_id)
                self.arrival_times[message_id] = self._came_at.pop(message_id)
                node_id = SERVER_NODE_ID if task is None else task.metadata.dst_node_id
                reply = error if error is not None else cast(Task, task)
                taken.append((node_id, int(message_id), message_id, reply))
            elif message_id not in self._tasks:
                error = unavailable(message_id, MESSAGE_UNAVAILABLE)
                taken.append((SERVER_NODE_ID, int(message_id) if message_id.isdigit() else 0, message_id, error))
        ordered = [reply for *_, reply in sorted(taken, key=lambda item: item[:3])]
        return self._opened(ordered, ahead=ahead)

    def _opened(self, taken: list[Message | Task], *, ahead: bool) -> list[Message]:
        tasks = []
        for reply in taken:
            if isinstance(reply, Task):
                tasks.append(reply)
                self._attendance.take(reply.number, reply.round, arrays=reply.carries_arrays)
            else:
                self._attendance.fail()
        replies = iter(self.clients.replies(tasks, ahead=ahead))
        return [next(replies) if isinstance(reply, Task) else reply for reply in taken]
