"""One simulated device on a bench: messages go in, and what it did comes out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import simpy

from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import CustomNetwork
from fedtiny.randomness import Streams
from fedtiny.simulation.device import Execution, SimulatedDevice, Work
from fedtiny.simulation.trace import Activity, Trace


@dataclass
class Bench:
    """A device, its trace, and when each reply was delivered."""

    environment: simpy.Environment
    device: SimulatedDevice
    trace: Trace
    delivered: list[tuple[int, float]] = field(default_factory=list)
    executed: list[int] = field(default_factory=list)

    def work(self, number: int, *, size: int = 0, seconds: float = 0.0, reply: int = 0, **options: Any) -> Work:
        """A message with `round` = number; `wanted` and `awaited` say whether it is worked on and its reply still awaited."""
        wanted, awaited = options.pop("wanted", lambda: True), options.pop("awaited", True)

        def execute() -> Execution:
            self.executed.append(number)
            return Execution(seconds, 10 * seconds, reply, reply // 2, **options)

        def deliver() -> bool:
            self.delivered.append((number, self.environment.now))
            return awaited

        return Work(number, size, size // 2, wanted, execute, deliver)

    def send(self, *burst: Work, at: float | None = None) -> None:
        """Sends a burst, now or after letting the clock come to `at`."""
        if at is not None:
            self.environment.run(until=at)
        self.device.accept(list(burst))

    def spans(self, kind: str) -> list[tuple[float, float]]:
        """(start, end) of every activity of a kind."""
        return [(activity.start, activity.end) for activity in self.of(kind)]

    def of(self, kind: str) -> list[Activity]:
        return [activity for activity in self.trace.activities if activity.kind == kind]


def bench(*, runtime: str = "overlapping", seed: int = 0, **network: Any) -> Bench:
    device = CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", "step_time": "1 s", "runtime": runtime}).profile()
    link = CustomNetwork.model_validate({"kind": "custom", "latency": "0 s", **network}).profile()
    environment, trace = simpy.Environment(), Trace()
    traits = Traits(number=4, group=1, index=2, group_name="bench", device=device, network=link)
    return Bench(environment, SimulatedDevice(environment, traits, Streams(seed), trace), trace)


@pytest.fixture(name="bench")
def make_bench() -> Callable[..., Bench]:
    """Makes a bench; keywords are those of a custom network, `runtime` and `seed`."""
    return bench
