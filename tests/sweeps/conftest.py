"""A scenario whose run takes a moment: the smallest network on a few digits, two devices, two rounds."""

from collections.abc import Callable
from pathlib import Path

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
