"""Servers that do not wait, on a real SuperLink with two SuperNodes: who replies when is the machine's affair, and so is what comes of it.

The server logs which reply goes into which version. Played again by that log, with the formulas of the papers, the run gives the
model that it wrote: every reply is in one version, once, with the staleness that is said of it.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import fedtiny
from fedtiny.flower_app import learners_of

APP = Path(__file__).resolve().parents[2] / "clients" / "dga-digits"
CLOSE = 1e-5
LINE = re.compile(r"client (\d+)'s reply to version (\d+) goes into version (\d+)")

pytestmark = pytest.mark.slow


def mixed(replies, versions, steps):
    """FedAsync: one reply after the other, by 0.6 / sqrt(1 + staleness)."""
    for (_, start, into), trained in zip(replies, steps, strict=True):
        share = 0.6 * (into - start) ** -0.5
        versions.append((1 - share) * versions[-1] + share * trained(versions[start]))
    return versions


def buffered(replies, versions, steps):
    """FedBuff with a buffer of 3, everybody counting alike."""
    update = np.zeros_like(versions[0], dtype=np.float64)
    for place, ((_, start, into), trained) in enumerate(zip(replies, steps, strict=True)):
        update += (into - start) ** -0.5 * (versions[start].astype(np.float64) - trained(versions[start])) / 3
        if place % 3 == 2:
            versions.append((versions[-1] - update).astype(np.float32))
            update[:] = 0
    return versions


@pytest.mark.parametrize(
    ("strategy", "rounds", "per_version", "again"),
    [
        ({"kind": "fedasync", "min_available_nodes": 2}, 6, 1, mixed),
        ({"kind": "fedbuff", "buffer": 3, "weighting": "uniform", "min_available_nodes": 2}, 3, 3, buffered),
    ],
)
def test_a_real_run_played_again_by_its_log_gives_the_model_that_it_wrote(two_nodes, tmp_path, strategy, rounds, per_version, again):
    written, overrides = tmp_path / "model.safetensors", {"stop.rounds": rounds, "strategy": strategy}
    log = two_nodes.run(APP, f"""overrides='{yaml_of(overrides)}' final-model='{written}'""")
    replies = [tuple(map(int, found)) for found in LINE.findall(log)]
    assert [into for _, _, into in replies] == [1 + place // per_version for place in range(rounds * per_version)], log
    assert all(start < into for _, start, into in replies)
    # two are always at work, so that not everybody can start from the newest version
    assert {client for client, _, _ in replies} == {0, 1}
    assert any(into - start > 1 for _, start, into in replies)

    world = fedtiny.prepare(fedtiny.load_scenario(APP / "scenario.yaml", overrides))
    versions = again(replies, [world.flat.read().copy()], local_training(world, [client for client, _, _ in replies]))
    model, expected = load_file(written), fedtiny.model_of(world, versions[-1].astype(np.float32))
    distance = max(float(np.abs(model[name] - values).max()) for name, values in expected.items())
    moved = max(float(np.abs(versions[-1] - versions[0]).max()), 0.0)
    assert distance < CLOSE, f"{distance} apart, {moved} from the initial model"
    assert moved > 1000 * CLOSE


def local_training(world, clients):
    """For every reply what makes it of the model that it started from: a client does its messages one after the other."""
    steps, learner_of, done = world.blueprint.scenario.training.local_steps, learners_of(world), {}
    made = []
    for client in clients:
        first = done.get(client, 0) + 1
        done[client] = first + steps - 1
        made.append(lambda weights, client=client, first=first: learner_of(client).train(weights, first, steps)[0])
    return made


def yaml_of(overrides):
    """One line of YAML without quotes, for the command line."""
    return "{" + ", ".join(f"{key}: {yaml_of(value) if isinstance(value, dict) else value}" for key, value in overrides.items()) + "}"
