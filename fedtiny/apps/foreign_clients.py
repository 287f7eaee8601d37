"""Somebody's own ClientApp on simulated devices: it is really executed when the processor of its device turns to the message."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from flwr.app import Context, Message

from fedtiny.apps.isolation import copy_of, keep, own_randomness
from fedtiny.apps.observed import Observed, Watch
from fedtiny.apps.work_cost import Source, WorkCost, fits, work_cost
from fedtiny.errors import FedTinyError, InfeasibleError
from fedtiny.federation.flower_internals import identify
from fedtiny.federation.messages import crashed, instruction_of, raised
from fedtiny.federation.records import NUM_EXAMPLES, isolated, message_bytes, payload_bytes
from fedtiny.federation.task import Task
from fedtiny.randomness import Streams
from fedtiny.scenario.app_schema import AppScenario
from fedtiny.simulation.device import Execution
from fedtiny.simulation.trace import Kind


class RunFails(BaseException):
    """The run cannot go on, because of `error`; no server app that catches its own errors keeps it."""

    def __init__(self, error: FedTinyError) -> None:
        self.error = error
        BaseException.__init__(self, str(error))


@dataclass
class Seen:
    """What was seen of the devices' work."""

    memory: dict[int, int] = field(default_factory=dict)
    """The most bytes that work took, by device."""
    examples: dict[int, int] = field(default_factory=dict)
    """The most examples that a reply of a device said it is from (`num-examples`)."""
    out_of_memory: Counter[int] = field(default_factory=Counter)
    """Pieces of work that did not fit, by device."""
    sources: Counter[Source] = field(default_factory=Counter)
    """Pieces of work by where their cost comes from."""
    messages: Counter[int] = field(default_factory=Counter)
    """Messages that devices began to work on."""


@dataclass
class ForeignClients:
    """A client app that is called for every message.

    `as_client` is what a client app runs in: the machine's own clock, and not the virtual one of the server app.
    """

    app: Callable[[Message, Context], Message]
    scenario: AppScenario
    streams: Streams
    as_client: Callable[[], AbstractContextManager[None]]
    seen: Seen = field(default_factory=Seen)
    edits_messages: bool = True
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.scenario.app.count)

    def begin(self, task: Task) -> Execution:
        """Does the work; see `federation.task.Clients`."""
        traits = task.node.device.traits
        reply, observed = self._answer(task)
        cost = work_cost(reply, observed, traits, self.scenario.app)
        if not fits(cost, traits.device):
            reply = self._out_of_memory(task, cost)
        self._note(traits.number, reply, cost)
        task.reply, task.carries_arrays = reply, not reply.has_error()
        kind: Kind = "evaluate" if task.metadata.message_type.split(".")[0] == "evaluate" else "train"
        identify(reply, f"reply-{task.message_id}")
        if reply.has_error():
            return Execution(cost.seconds, cost.macs, 0, 0, kind=kind, failed=True)
        size, payload = message_bytes(reply.content), payload_bytes(reply.content)
        return Execution(cost.seconds, cost.macs, size, payload, kind=kind, paging=cost.paging)

    def replies(self, tasks: Sequence[Task], *, ahead: bool) -> list[Message]:
        """The replies, which are there; see `federation.task.Clients`."""
        return [task.reply for task in tasks if task.reply is not None]

    def _answer(self, task: Task) -> tuple[Message, Observed]:
        """The reply, and what was seen of the work; done again where watching it made it fail."""
        before = copy_of(task.node.context)
        number = task.node.device.traits.number
        self.seen.messages[number] += 1
        reply, observed, error = self._tried(task, number)
        if error is not None and self.watch.must_be_repeated(error):
            keep(task.node.context, before)
            reply, observed, _ = self._tried(task, number)
        return reply, observed

    def _tried(self, task: Task, number: int) -> tuple[Message, Observed, Exception | None]:
        instruction = instruction_of(task.metadata, task.message_id, isolated(task.content))
        context = copy_of(task.node.context)
        replies: list[Message] = []
        errors: list[Exception] = []

        def work() -> None:
            try:
                replies.append(_checked(self.app(instruction, context), task.message_id))
            except Exception as error:  # noqa: BLE001  (whatever it is, a SuperNode makes an error reply of it)
                errors.append(error)
            except SystemExit:
                pass

        own = own_randomness(self.streams, "app", "device", number, "message", self.seen.messages[number])
        with self.as_client(), own:
            observed = self.watch(work)
        keep(task.node.context, context)
        error = errors[0] if errors else None
        reply = raised(instruction, error) if error is not None else replies[0] if replies else crashed(instruction)
        if reply.has_content():
            reply.content = isolated(reply.content)
        return reply, observed, error

    def _out_of_memory(self, task: Task, cost: WorkCost) -> Message:
        traits = task.node.device.traits
        self.seen.out_of_memory[traits.number] += 1
        if self.scenario.on_out_of_memory == "fail":
            place = ("fleet", traits.group) if isinstance(self.scenario.fleet, tuple) else ("fleet",)
            raise RunFails(
                InfeasibleError(
                    f"answering {task.metadata.message_type} needs {cost.memory} bytes but device {traits.number} ({traits.device.name}) "
                    f"offers {int(traits.device.memory)}: give it more memory, or use on_out_of_memory: exclude",
                    place,
                )
            )
        return crashed(instruction_of(task.metadata, task.message_id, task.content))

    def _note(self, number: int, reply: Message, cost: WorkCost) -> None:
        seen = self.seen
        seen.sources[cost.source] += 1
        if cost.memory is not None:
            seen.memory[number] = max(cost.memory, seen.memory.get(number, 0))
        for record in reply.content.metric_records.values() if reply.has_content() else ():
            examples = record.get(NUM_EXAMPLES)
            if isinstance(examples, int | float):
                seen.examples[number] = max(int(examples), seen.examples.get(number, 0))


def _checked(reply: object, message_id: str) -> Message:
    """What the app gave, which must be a reply to this message: anything else a SuperNode cannot send, or its server does not take."""
    if not isinstance(reply, Message) or reply.metadata.reply_to_message_id != message_id:
        raise SystemExit
    return reply
