"""`delay: drift` on quadratics of the same curvature, where the best delay is known in closed form.

With f_i = a/2 (w - b_i)^2 the mean of the clients descends the mean gradient whatever the delay (test_quadratic_bias.py: all weights r_i
are alike), so that rounds are worth the same at every delay and the best one is the shortest that hides the round trip.
"""

import numpy as np
import pytest

CLIENTS, STEPS, TARGET = 6, 5, 0.1


def played(quadratics, delay, *, curvature, spread, round_trip):
    b = spread * np.linspace(-1, 1, CLIENTS)
    federation = quadratics([curvature] * CLIENTS, b.tolist(), [0.0] * CLIENTS, start=1.0)
    overrides = {"step_time": "100 ms", "latency": f"{500 * round_trip:g} ms"}
    play = federation.play({"kind": "dga", "delay": delay}, local_steps=STEPS, rounds=60, rate=0.1, **overrides)
    reached = next(number for number, version in enumerate(play.versions) if abs(version.trainable[0]) < TARGET)
    return play.times[reached], [version.delay for version in play.versions[1 : reached + 1]]


@pytest.mark.parametrize("curvature", [0.1, 0.3])
@pytest.mark.parametrize("spread", [0.5, 1.5])
def test_drift_takes_the_best_delay_of_the_closed_form_however_far_clients_drift_apart(quadratics, curvature, spread):
    best, _ = played(quadratics, 20, curvature=curvature, spread=spread, round_trip=2.0)
    waiting, _ = played(quadratics, 1, curvature=curvature, spread=spread, round_trip=2.0)
    found, delays = played(quadratics, "drift", curvature=curvature, spread=spread, round_trip=2.0)
    assert found < best + 0.3 * (waiting - best)
    assert np.median(delays) == 20
