"""What `fedtiny deploy` writes, tried on this machine: a real SuperLink and two SuperNodes. The short form of `make flower`."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

import fedtiny
from fedtiny.deployment.deploy import deployment_of, write_deployment

CLOSE = 1e-6
SCENARIO = {
    "name": "tried",
    "seed": 7,
    "model": "small_cnn",
    "data": "digits",
    "training": {"batch_size": 16, "local_steps": 5, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
    "strategy": {"kind": "dga", "delay": 10, "send": "early"},
    "fleet": [{"count": 2, "device": "raspberry_pi_4", "network": "lte_driving"}],
    "stop": {"rounds": 2},
}


def free_ports(count):
    """The first of so many ports in a row that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return min(int(probe.getsockname()[1]), 65000 - count)


def tried(folder, *, secure, run_ahead=None, **changes):
    """How far the real model is from the simulation's, and what was said."""
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump({**SCENARIO, **changes}), encoding="utf-8")
    scenario, written = fedtiny.load_scenario(path), folder / "model.safetensors"
    made = deployment_of(scenario, "127.0.0.1:8000", secure=secure, home=PurePosixPath("/opt/fedtiny"), user="fedtiny", run_ahead=run_ahead)
    write_deployment(made, folder / "out")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PORT": str(free_ports(3))}
    command = [folder / "out" / "try_here.sh", "-c", f"final-model='{written}'"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    real, virtual = load_file(written), fedtiny.run(scenario).model
    return max(float(np.abs(real[name] - values).max()) for name, values in virtual.items()), done.stdout + done.stderr, environment["PORT"]


def nothing_listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) != 0


def test_two_rounds_on_real_nodes_end_with_the_model_of_the_simulation_and_leave_nothing_running(tmp_path):
    distance, said, port = tried(tmp_path, secure=False)
    assert distance < CLOSE
    assert "round 2: accuracy" in said
    assert nothing_listens(port)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None or shutil.which("ssh-keygen") is None, reason="needs openssl and ssh-keygen")
@pytest.mark.parametrize(
    ("run_ahead", "strategy"),
    [(None, {"kind": "fedavg"}), (None, SCENARIO["strategy"]), (1, SCENARIO["strategy"]), (2, SCENARIO["strategy"])],
)
def test_with_tls_and_keys_and_with_trainers_it_is_the_same_model(tmp_path, run_ahead, strategy):
    distance, _, port = tried(tmp_path, secure=True, run_ahead=run_ahead, strategy=strategy, stop={"rounds": 4})
    assert distance < CLOSE
    assert nothing_listens(port)
