"""A SuperLink with TLS and registered keys, as `fedtiny deploy` starts it: strangers stay outside."""

import shutil
import subprocess
import time
from pathlib import PurePosixPath

import pytest
import yaml

import fedtiny
from fedtiny.deployment.deploy import deployment_of, write_deployment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("openssl") is None or shutil.which("ssh-keygen") is None, reason="needs openssl and ssh-keygen"),
]
SCENARIO = {
    "name": "guarded",
    "model": "small_cnn",
    "data": "digits",
    "training": {"batch_size": 16, "local_steps": 5, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
    "strategy": "fedavg",
    "fleet": [{"count": 1, "device": "raspberry_pi_4", "network": "lte_driving"}],
    "stop": {"rounds": 1},
}
SECONDS = 15


@pytest.fixture
def guarded(one_federation, tmp_path):
    """A SuperLink that knows the key of device 0, and the folder with keys; `node(name, options)` starts a SuperNode."""
    scenario, keys = tmp_path / "scenario.yaml", tmp_path / "out"
    scenario.write_text(yaml.safe_dump(SCENARIO), encoding="utf-8")
    loaded = fedtiny.load_scenario(scenario)
    write_deployment(deployment_of(loaded, "127.0.0.1:1", secure=True, home=PurePosixPath("/opt/x"), user="x"), keys)
    subprocess.run([keys / "make_keys.sh"], check=True, capture_output=True)
    certificates, port = keys / "certificates", one_federation.port
    server = ["--ssl-certfile", certificates / "server.crt", "--ssl-keyfile", certificates / "server.key"]
    server += ["--ssl-ca-certfile", certificates / "ca.crt", "--enable-supernode-auth", "--disable-runtime-dependency-installation"]
    one_federation.start_process("superlink", ["flower-superlink", *map(str, server), "--port", str(port)])
    (one_federation.folder / "config.toml").write_text(
        f'[superlink.here]\naddress = "127.0.0.1:{port}"\nroot-certificates = "{certificates / "ca.crt"}"\n'
    )
    wait_for(lambda: "Uvicorn running" in (one_federation.folder / "superlink.log").read_text(), 60)
    flwr(one_federation, "supernode", "register", str(keys / "keys" / "device-0.pub"), "here")
    return one_federation, keys


def flwr(federation, *words):
    command = [federation.environment["PATH"].split(":")[0] + "/flwr", *words]
    done = subprocess.run(command, env=federation.environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for(what, seconds):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.2)
    return what()


def joins(federation, name, port, *options):
    command = ["flower-supernode", "--superlink", f"127.0.0.1:{federation.port}", "--port", str(port), *map(str, options)]
    federation.start_process(name, command)
    return wait_for(lambda: "SuperNode ID" in (federation.folder / f"{name}.log").read_text(), SECONDS)


def test_a_node_with_a_registered_key_joins_and_strangers_do_not(guarded, tmp_path):
    federation, keys = guarded
    root = ["--root-certificates", keys / "certificates" / "ca.crt"]
    assert joins(federation, "known", federation.port + 1, *root, "--auth-supernode-private-key", keys / "keys" / "device-0")
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", "", "-f", tmp_path / "stranger"], check=True)
    assert not joins(federation, "stranger", federation.port + 2, *root, "--auth-supernode-private-key", tmp_path / "stranger")
    assert not joins(federation, "nameless", federation.port + 3, *root)
    assert not joins(federation, "unencrypted", federation.port + 4, "--insecure")


def test_a_node_that_shows_its_key_keeps_its_id(guarded):
    federation, keys = guarded
    options = ["--root-certificates", keys / "certificates" / "ca.crt", "--auth-supernode-private-key", keys / "keys" / "device-0"]
    found = []
    for turn in range(2):
        assert joins(federation, f"turn-{turn}", federation.port + 1 + turn, *options)
        said = (federation.folder / f"turn-{turn}.log").read_text()
        found.append(said.partition("SuperNode ID: ")[2].split()[0])
        federation.processes[-1].terminate()
        federation.processes[-1].wait()
    assert found[0] == found[1]
