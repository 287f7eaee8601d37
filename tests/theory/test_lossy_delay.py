"""`delay: auto` where messages are lost: the delay hides the share of averages that it is said to, as far as the two can be told apart."""

import numpy as np
import pytest

from fedtiny.experiment import run

STEPS, STEP, CLIENTS, SETTLED = 5, 0.1, 10, 100


def scenario(quadratics, delay, loss, *, latency, rounds, seed):
    devices = {"kind": "custom", "memory": "1 GB", "step_time": f"{1000 * STEP:g} ms"}
    network = {"kind": "custom", "latency": f"{1000 * latency:g} ms", "loss": loss}
    federation = quadratics([1.0] * CLIENTS, [0.0] * CLIENTS, [0.0] * CLIENTS, start=1.0)
    fleet = [{"count": CLIENTS, "device": devices, "network": network}]
    return federation.load({"kind": "dga", "delay": delay}, local_steps=STEPS, rounds=rounds, fleet=fleet, learning="none", seed=seed)


def waits(quadratics, loss, *, latency, seed):
    """From the end of a round's last step to the arrival of its average, for every device and round (s), where nobody ever waits."""
    delay, rounds = 600, 260
    result = run(scenario(quadratics, delay, loss, latency=latency, rounds=rounds, seed=seed), allow_code=True)
    ended, arrived = {}, {device: [] for device in range(CLIENTS)}
    for row in result.activities.to_pylist():
        if row["kind"] == "train":
            ended[row["round"]] = max(ended.get(row["round"], 0.0), row["end"])
        if row["kind"] == "download" and row["arrival"] is not None:
            arrived[row["device"]].append(row["arrival"])
    # links keep the order, so that a device's messages are before(1), after(1), before(2), ...; after(t) brings the average of t - 1 - s
    return [
        sorted(arrived[device])[2 * (number + (delay - 1) // STEPS) + 1] - ended[number]
        for number in range(20, rounds - delay // STEPS - 20)
        for device in range(CLIENTS)
    ]


def quantile(quadratics, loss, *, latency=0.5):
    return float(np.quantile([wait for seed in (5, 6) for wait in waits(quadratics, loss, latency=latency, seed=seed)], 0.95))


def chosen(quadratics, loss, *, latency=0.5, seed):
    part = {"kind": "auto", "at_most": 1000}
    return run(scenario(quadratics, part, loss, latency=latency, rounds=250, seed=seed), allow_code=True).rounds["delay"].to_pylist()


@pytest.mark.parametrize(("loss", "latency"), [(0.0, 0.5), (0.02, 0.5), (0.05, 0.5), (0.1, 0.5), (0.02, 2.5)])
def test_the_delay_is_that_of_the_share_of_averages_that_it_hides(quadratics, loss, latency):
    needed = quantile(quadratics, loss, latency=latency) / STEP
    found = [float(np.median(chosen(quadratics, loss, latency=latency, seed=seed)[SETTLED:])) for seed in (5, 6, 7)]
    assert 0.8 * needed <= min(found)
    assert max(found) <= 1.25 * needed
    assert loss == 0 or needed > 1.09 * 2 * latency / STEP


def test_where_nearly_all_replies_are_late_waiting_cannot_be_told_from_being_late(quadratics):
    # 0.7 ** (1 + 2 * 1.0 / 0.5) = 17 % of the replies come in time
    needed = quantile(quadratics, 0.3) / STEP
    assert chosen(quadratics, 0.3, seed=5)[-1] > 1.25 * needed
