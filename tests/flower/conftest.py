"""A real Flower federation on this machine: one SuperLink and some SuperNodes, each a process with children of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

SECONDS_TO_START = 60
SECONDS_TO_STOP = 20
SECONDS_TO_RUN = 400
PROGRAMS = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children() -> dict[int, list[int]]:
    """The process ids of all processes of this machine, by parent."""
    found: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        found.setdefault(parent, []).append(int(stat.parent.name))
    return found


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    below = children()
    found = [pid]
    for one in found:
        found += below.get(one, [])
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass
class Federation:
    """A SuperLink and its SuperNodes; everything they write lies in `folder`."""

    folder: Path
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "FLWR_HOME": str(self.folder),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "OMP_NUM_THREADS": "1",
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        }

    def start(self, nodes: int, more: Callable[[int], str] = lambda number: "", through: Callable[[int, int], int] | None = None) -> None:
        """Starts a SuperLink and nodes with the partition ids 0 to nodes - 1; `more(number)` is what else a node's configuration says,
        `through(number, port)` the port at which it finds the SuperLink's port, if another."""
        address = f"127.0.0.1:{self.port}"
        (self.folder / "config.toml").write_text(f'[superlink.here]\naddress = "{address}"\ninsecure = true\n')
        self.start_process(
            "superlink", ["flower-superlink", "--insecure", "--disable-runtime-dependency-installation", "--port", str(self.port)]
        )
        self._wait_for_health(f"http://{address}/health")
        for number in range(nodes):
            port = self.port if through is None else through(number, self.port)
            self.start_node(number, nodes, more(number), port)

    def start_node(self, number: int, nodes: int, more: str = "", port: int | None = None) -> subprocess.Popen[bytes]:
        """Starts one node, perhaps once more."""
        where = ["--superlink", f"127.0.0.1:{port or self.port}", "--port", str(free_port())]
        who = ["--node-config", f"partition-id={number} num-partitions={nodes} {more}".strip()]
        return self.start_process(f"supernode-{number}", ["flower-supernode", "--insecure", *where, *who])

    def run(self, app: Path, config: str) -> str:
        """Runs an app until it ends and gives what it logged; fails if it takes too long."""
        command = [PROGRAMS / "flwr", "run", app, "here", "--stream", "-c", config]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=SECONDS_TO_RUN)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def stop(self) -> None:
        """Ends every process that was started here, and what they started, each by its id."""
        started = [pid for process in self.processes for pid in family(process.pid)]
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        deadline = time.monotonic() + SECONDS_TO_STOP
        while (left := [pid for pid in started if alive(pid)]) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            os.kill(pid, signal.SIGKILL)

    def start_process(self, name: str, command: Sequence[str], **more: Any) -> subprocess.Popen[bytes]:
        """Starts a program of this environment, whose words go to a log of that name; it is ended with the rest."""
        with (self.folder / f"{name}.log").open("ab") as log:
            program = [str(PROGRAMS / command[0]), *command[1:]]
            process = subprocess.Popen(program, env=self.environment, stdout=log, stderr=subprocess.STDOUT, **more)
        self.processes.append(process)
        return process

    def _wait_for_health(self, address: str) -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline:
            assert self.processes[0].poll() is None, (self.folder / "superlink.log").read_text()
            try:
                with urlopen(address):
                    return
            except URLError:
                time.sleep(0.2)
        raise AssertionError((self.folder / "superlink.log").read_text())


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """A SuperLink with two SuperNodes."""
    federation = Federation(tmp_path_factory.mktemp("flower"))
    try:
        federation.start(nodes=2)
        yield federation
    finally:
        federation.stop()


@pytest.fixture
def one_federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """A federation of one test, nothing of which has been started."""
    federation = Federation(tmp_path_factory.mktemp("flower"))
    try:
        yield federation
    finally:
        federation.stop()
