"""Clients whose work is foreseen when their device's processor turns to it, and trained when somebody reads the reply.

Timing does not wait for learning: steps, MACs and bytes follow from the plan and from what was sent. So when a device begins
on a message, only its `Foresight` is asked; the message waits in the node's backlog. When the server reads a reply, the replies
it took together are trained in **packages**: their nodes in the order of their numbers, cut into packages of a fixed size. The
clients of a package go through their work side by side, each through its whole backlog up to the reply, so that a client's
messages are answered in the order in which they reached it, and the local steps that are asked for at one time are taken in
one pass. What nobody reads, and no later message of its client builds on, is never trained.

Packages follow from what the server asked and not from this machine: neither speed nor the number of workers changes a byte.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from flwr.app import Message, RecordDict

from fedtiny.costs.step import StepCost
from fedtiny.errors import FedTinyError, SimulationError
from fedtiny.federation.client_work import Answer, Client, ClientReply, content_of
from fedtiny.federation.flower_internals import PendingReply, reply_metadata
from fedtiny.federation.foresight import Course, Foresight
from fedtiny.federation.immediate_clients import failed, reason_of
from fedtiny.federation.records import Vector, message_bytes, payload_bytes
from fedtiny.federation.task import Task
from fedtiny.simulation.device import Execution
from fedtiny.training.evaluation import Quality
from fedtiny.training.local_work import Execute, LocalResult, LocalWork, Package, WorkFailed

Lane = Generator[LocalWork, LocalResult, None]
"""One node on its way through its backlog: yields the local steps it wants taken and is sent what they gave."""


@dataclass(frozen=True)
class Training:
    """How packages are trained: by what, how many clients each, and how many packages it is offered at a time."""

    execute: Execute
    clients: int
    packages: int = 1
    quality: Callable[[Vector], Quality] | None = None
    """What a model with these trainable values is worth on the test set, where that is known without evaluating it again and again;
    None: whoever wants to know evaluates."""


@dataclass
class DeferredClients:
    """FedTiny's own client app on simulated devices.

    `answer` and `foresee` are the two faces of a strategy's client half; `client_of(number)` is the client,
    `effort(number, first step, steps)` gives what its local steps cost, and `reply_of(number, carries arrays)` a reply
    of the form it will have, with any values.
    """

    answer: Answer
    foresee: Callable[[RecordDict, Course], Foresight]
    client_of: Callable[[int], Client]
    effort: Callable[[int, int, int], StepCost]
    reply_of: Callable[[int, bool], ClientReply]
    training: Training
    edits_messages: bool = False
    _courses: dict[int, Course] = field(default_factory=dict)
    _backlogs: dict[int, deque[Task]] = field(default_factory=dict)
    _sizes: dict[tuple[int, bool], tuple[int, int]] = field(default_factory=dict)
    _forms: dict[object, tuple[int, int]] = field(default_factory=dict)
    """The size of every form, which many clients share: to make records and count them takes longer than all else about a new client."""

    def begin(self, task: Task) -> Execution:
        """Foresees the work and puts it off; see `Clients.begin`."""
        number = task.number
        course = self._courses.get(number)
        if course is None:
            course = self._courses[number] = Course(pace=self.client_of(number).pace)
        first = course.steps + 1
        foresight = self.foresee(task.content, course)
        effort = self.effort(number, first, foresight.steps)
        task.carries_arrays = foresight.carries_arrays
        backlog = self._backlogs.get(number)
        if backlog is None:
            backlog = self._backlogs[number] = deque()
        backlog.append(task)
        return Execution(effort.computing, effort.macs, *self._reply_sizes(number, foresight.carries_arrays), paging=effort.paging)

    def replies(self, tasks: Sequence[Task], *, ahead: bool) -> list[Message]:
        """Replies whose contents are made when one of them is read; see `Clients.replies`."""
        batch = _Batch(self, tasks, ahead)
        return [PendingReply(reply_metadata(task.metadata, task.message_id), partial(batch.take, task), content_of) for task in tasks]

    def catch_up(self) -> None:
        """Does all work that was begun, also what nobody reads: for those who watch every step."""
        begun = [backlog[-1] for backlog in self._backlogs.values()]
        batch = _Batch(self, begun, ahead=False)
        for task in begun:
            batch.take(task)

    # --- for a batch --------------------------------------------------------------------------------------------

    def behind(self) -> dict[int, Task]:
        """By number, the last message that each node has begun to work on and not done."""
        return {number: backlog[-1] for number, backlog in self._backlogs.items()}

    def lane(self, last: Task) -> Lane:
        """A node's way through its backlog, up to this task."""
        backlog = self._backlogs[last.number]
        while not last.answered:
            task = backlog.popleft()
            if not backlog:
                # an empty queue takes more than all else that is kept for a client, and most clients of a large fleet have nothing to do
                del self._backlogs[last.number]
            client = self.client_of(task.number)
            try:
                task.answer = yield from self.answer(task.content, task.node.context.state, client)
            except FedTinyError:
                raise
            except Exception as error:
                raise failed(task, reason_of(error)) from error
            task.answered = True
            self._check(task)

    def _check(self, task: Task) -> None:
        arrays, foreseen = cast(ClientReply, task.answer).arrays, self._reply_sizes(task.number, task.carries_arrays)[1]
        found = 0 if arrays is None else arrays.nbytes
        if found != foreseen:
            raise SimulationError(
                f"the reply of device {task.number} in round {task.round} carries {found} bytes of values, and time was charged for "
                f"{foreseen}: what the strategy foresees does not fit its answer"
            )

    def _reply_sizes(self, number: int, carries_arrays: bool) -> tuple[int, int]:
        key = (number, carries_arrays)
        sizes = self._sizes.get(key)
        if sizes is None:
            reply = self.reply_of(number, carries_arrays)
            form = (*reply.metrics, None if reply.arrays is None else (reply.arrays.dtype, len(reply.arrays)))
            if form not in self._forms:
                content = content_of(reply)
                self._forms[form] = message_bytes(content), payload_bytes(content)
            sizes = self._sizes[key] = self._forms[form]
        return sizes


@dataclass(eq=False)
class _Batch:
    """Replies that the server took together."""

    clients: DeferredClients
    tasks: Sequence[Task]
    ahead: bool
    _windows: list[list[list[Task]]] | None = None
    """Packages that are offered together: by window, by package, the last task of each node."""
    _window_of: dict[int, int] = field(default_factory=dict)

    def take(self, task: Task) -> ClientReply:
        """What the client of a task answered, which is given away: made now, with its package, unless it was made before."""
        if not task.answered:
            if self._windows is None:
                self._windows = self._cut()
            self._train(self._windows[self._window_of[task.number]])
        answer, task.answer = task.answer, None
        if answer is None:
            raise SimulationError(f"the reply to message {task.message_id} was taken before, and is read again")
        return answer

    def _cut(self) -> list[list[list[Task]]]:
        last = self.clients.behind() if self.ahead else {}
        last |= {task.number: task for task in self.tasks if not task.answered and task.number not in last}
        nodes, training = [last[number] for number in sorted(last)], self.clients.training
        packages = [nodes[start : start + training.clients] for start in range(0, len(nodes), training.clients)]
        windows = [packages[start : start + training.packages] for start in range(0, len(packages), training.packages)]
        self._window_of = {task.number: place for place, window in enumerate(windows) for package in window for task in package}
        return windows

    def _train(self, window: list[list[Task]]) -> None:
        lanes = [{task.number: self.clients.lane(task) for task in package} for package in window]
        wishes = [_advanced(package, dict.fromkeys(package)) for package in lanes]
        while any(wishes):
            asked = [place for place, wish in enumerate(wishes) if wish]
            results = self._executed([tuple(wishes[place].items()) for place in asked], lanes)
            for place, gave in zip(asked, results, strict=True):
                wishes[place] = _advanced(lanes[place], dict(zip(wishes[place], gave, strict=True)))

    def _executed(self, packages: list[Package], lanes: list[dict[int, Lane]]) -> list[list[LocalResult]]:
        try:
            return self.clients.training.execute(packages)
        except WorkFailed as error:
            lane = next(package[error.client] for package in lanes if error.client in package)
            lane.throw(error)
            raise


def _advanced(lanes: dict[int, Lane], gave: dict[int, LocalResult | None]) -> dict[int, LocalWork]:
    """Sends every node what its local steps gave (None at the start); what they want next, of those that want something."""
    wishes = {}
    for number, result in gave.items():
        try:
            wishes[number] = lanes[number].send(cast(LocalResult, result))
        except StopIteration:
            continue
    return wishes
