"""A scenario whose run takes a moment: the smallest network on a few digits, two devices, two rounds; and a Ray cluster of two nodes."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

TINY = """\
name: tiny
model: linear
data: {kind: digits, train_examples: 32}
training: {batch_size: 8, local_steps: 1}
strategy: fedavg
fleet:
  - {count: 2, device: {kind: custom, memory: 1 MB, step_time: 100 ms}, network: {kind: custom, latency: 10 ms}}
stop: {rounds: 2}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., Path]:
    """Writes the tiny scenario, with more lines at its end."""

    def write(more: str = "", name: str = "tiny.yaml") -> Path:
        path = tmp_path / name
        path.write_text(TINY + more, encoding="utf-8")
        return path

    return write


NOTING = """
WIDTH = 0
import time
from pathlib import Path
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.wide = nn.Sequential(nn.Linear(64, WIDTH), nn.Linear(WIDTH, 10)) if WIDTH else None

    def forward(self, inputs):
        if self.training and torch.is_grad_enabled():
            import ray
            if ray.is_initialized():
                Path(__file__).with_name(ray.get_runtime_context().get_node_id() + ".node").touch()
                time.sleep(0.02)
            if self.linear.weight[0, 0] > 50:
                raise ValueError("too large")
        inputs = inputs.flatten(1)
        return self.linear(inputs) + (self.wide(inputs) if self.wide else 0)
"""


@pytest.fixture
def noting(tiny: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Writes the tiny scenario with a network that notes on which nodes of a Ray cluster it trains (ID.node next to it), taking its time
    there; `width` makes it larger, `more` are further lines of the scenario."""

    def write(more: str = "", width: int = 0) -> Path:
        network = tmp_path / "network.py"
        network.write_text(NOTING.replace("WIDTH = 0", f"WIDTH = {width}"), encoding="utf-8")
        path = tiny(more)
        model = f"model: {{kind: python, path: {network}, name: Network}}"
        path.write_text(path.read_text().replace("model: linear", model), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def two_nodes() -> Callable[[], AbstractContextManager[tuple[Any, Any]]]:
    """Starts a Ray cluster with one processor on each of its two nodes: gives it, and the node that is not its head."""

    @contextmanager
    def started() -> Iterator[tuple[Any, Any]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from ray.cluster_utils import Cluster

            small = {"num_cpus": 1, "object_store_memory": 100_000_000}
            # a node that is silent for two seconds is lost, not one that is for twenty: tests do not wait
            soon = {"health_check_period_ms": 500, "health_check_timeout_ms": 1000, "health_check_failure_threshold": 4}
            cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False, "_system_config": soon})
            try:
                yield cluster, cluster.add_node(**small)
            finally:
                cluster.shutdown()

    return started
