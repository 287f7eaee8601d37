"""Devices behind a link that they share: the server's, or an access point's."""

from typing import Any

import pytest
import simpy

from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import CustomNetwork
from fedtiny.fleet.sharing import ServerLink
from fedtiny.randomness import Streams
from fedtiny.simulation.connection import place_server
from fedtiny.simulation.device import SimulatedDevice
from fedtiny.simulation.trace import Trace

DEVICE = CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", "step_time": "1 s"}).profile()


def simulated(
    bench: Any, count: int, size: int, *, server: dict[str, str] | None = None, until: float | None = None, **network: Any
) -> Trace:
    """The trace of so many devices of one group that all get a message at time 0 and send as much back."""
    work = bench().work(1, size=size, reply=size)
    profile = CustomNetwork.model_validate({"kind": "custom", "latency": "0 s", **network}).profile()
    environment, trace = simpy.Environment(), Trace()
    place_server(environment, ServerLink.model_validate(server or {}))
    for number in range(count):
        traits = Traits(number=number, group=0, index=number, group_name="g", device=DEVICE, network=profile)
        SimulatedDevice(environment, traits, Streams(0), trace).accept([work])
    environment.run(until=until)
    if until is not None:
        trace.cut(until)
    return trace


def about(spans: list[tuple[float, float]], **options: float) -> list[Any]:
    """Spans that are these but for rounding."""
    return [pytest.approx(span, **options) for span in spans]


def spans(trace: Trace, kind: str) -> list[tuple[float, float]]:
    return [(one.start, one.end) for one in trace.activities if one.kind == kind]


@pytest.mark.parametrize("count", [1, 3, 50])
def test_n_devices_that_the_server_answers_at_once_take_n_times_as_long(bench, count):
    trace = simulated(bench, count, 1000, server={"downlink": "500 B/s"})
    assert spans(trace, "download") == about([(0.0, 2.0 * count)] * count, rel=1e-9)
    assert spans(trace, "upload") == about([(2.0 * count, 2.0 * count)] * count, rel=1e-9)


def test_the_server_is_in_nobodys_way_whose_own_link_is_narrower(bench):
    trace = simulated(bench, 4, 1000, server={"downlink": "1 kB/s", "uplink": "1 kB/s"}, downlink="100 B/s", uplink="250 B/s")
    assert spans(trace, "download") == about([(0.0, 10.0)] * 4)
    assert spans(trace, "upload") == about([(10.0, 14.0)] * 4)


def test_neighbours_share_an_access_point_and_others_do_not(bench):
    trace = simulated(bench, 5, 1000, access_point={"devices": 2, "downlink": "500 B/s"})
    assert [end for _, end in spans(trace, "download")] == pytest.approx([4.0, 4.0, 4.0, 4.0, 2.0])


def test_a_run_that_ends_meanwhile_counts_what_was_sent(bench):
    trace = simulated(bench, 4, 1000, server={"downlink": "500 B/s"}, until=2.0)
    assert [(one.bytes, one.end, one.outcome) for one in trace.activities] == [(250, 2.0, "cancelled")] * 4


def test_the_time_of_day_changes_what_a_device_can_do_and_not_what_the_server_can(bench):
    day = {"rates": [1.0, 0.5, *[1.0] * 22]}
    alone = simulated(bench, 1, 5400, downlink="1 B/s", time_of_day=day)
    shared = simulated(bench, 1, 5400, downlink="1 B/s", time_of_day=day, server={"downlink": "2 B/s"})
    narrow = simulated(bench, 1, 1800, downlink="1 B/s", time_of_day=day, server={"downlink": "0.25 B/s"})
    assert spans(alone, "download") == about([(0.0, 7200.0)])
    assert spans(shared, "download") == about([(0.0, 7200.0)])
    assert spans(narrow, "download") == about([(0.0, 7200.0)])
