"""A scenario that is valid, to be made wrong in one place at a time."""

from collections.abc import Callable
from pathlib import Path

import pytest

VALID = """\
name: digits_over_a_slow_link
model: {kind: linear}
data:
  kind: digits
  partition: {kind: dirichlet, alpha: 0.5}
training:
  batch_size: 8
  local_steps: 5
strategy: {kind: dga, delay: 5}
fleet:
  - {count: 2, device: raspberry_pi_4, network: lte_driving}
  - count: 1
    device: {kind: custom, memory: 1 MB, step_time: 100 ms}
    network: {kind: custom, latency: 60 ms, downlink: 1 Mbit/s}
stop: {rounds: 2}
"""


@pytest.fixture
def valid() -> str:
    """The text of a valid scenario."""
    return VALID


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a scenario's text, by default the valid one, with pieces of it replaced."""

    def write(*replacements: tuple[str, str], text: str = VALID, name: str = "scenario.yaml") -> Path:
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
