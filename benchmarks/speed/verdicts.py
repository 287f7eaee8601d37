"""From measured seconds to what is claimed: ratios of medians, beside their targets. No torch, no clock in this file."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

FEDTINY, BARE, BATCH, PFL, FLOWER, ONE_BY_ONE = "FedTiny", "bare loop", "big batch", "pfl 0.6", "Flower 1.41 on Ray", "FedTiny, one by one"
OPTIMIZER: Final = "loop with torch.optim.SGD"
CLIENT_TASK_TARGET: Final = 300e-6
_WITHIN: Final = 0.8

Blocks = Mapping[str, Sequence[float]]
"""Seconds per round of every block, by runner."""


@dataclass(frozen=True)
class Claim:
    """A ratio, and what it should be."""

    text: str
    measured: float
    target: float
    at_least: bool
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether it is what it should be."""
        return self.measured >= self.target if self.at_least else self.measured <= self.target

    @property
    def row(self) -> str:
        """A row of a Markdown table."""
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.met else "**not met**"
        return f"| {self.text} | {self.measured:.3g} {self.unit} | {sign} {self.target:.3g} {self.unit} | {verdict} |"


def median(blocks: Blocks, runner: str) -> float:
    """The median of a runner's seconds per round."""
    return statistics.median(blocks[runner])


def speedup(blocks: Blocks, over: str = BARE) -> float:
    """How many times faster FedTiny is than another runner, by medians."""
    return median(blocks, over) / median(blocks, FEDTINY)


_FASTER: Final = {
    "a": {BARE: 2.0, OPTIMIZER: 2.0, PFL: 3.0, FLOWER: 15.0},
    "b-full": {BARE: 1.2},
    "b-tinytl": {BARE: 1.6},
    "b-bias": {BARE: 2.0},
    "b-last": {BARE: 10.0},
}
_AT_MOST: Final = {"b-bias": {BATCH: 1.4}, "c": {BARE: 1.1, OPTIMIZER: 1.1}}


def claims(measured: Mapping[str, Blocks], cohorts: Mapping[str, int]) -> list[Claim]:
    """Every claim that can be made of what was measured; `cohorts` says how many clients a round of a workload has."""
    found = [claim for name, blocks in measured.items() for claim in (*_faster(name, blocks), *_at_most(name, blocks))]
    for name, blocks in measured.items():
        if name.startswith(("d-", "e-")) and (twin := f"b-{name.split('-')[1]}") in measured:
            found.extend(_like(name, blocks, twin, measured[twin]))
        if ONE_BY_ONE in blocks:
            task = (median(blocks, ONE_BY_ONE) - median(blocks, BARE)) / cohorts[name]
            text = "a client task over the bare loop, one by one"
            found.append(Claim(text, task * 1e6, CLIENT_TASK_TARGET * 1e6, at_least=False, unit="µs"))
    return found


def _like(name: str, blocks: Blocks, twin: str, others: Blocks) -> list[Claim]:
    """As fast as what is wanted of a workload of the same network, and as what was measured there, within 20 % each."""
    wanted, found = _FASTER[twin][BARE], speedup(others)
    return [
        Claim(f"{name}: faster than {BARE}, within 20 % of what is wanted of {twin}", speedup(blocks), _WITHIN * wanted, at_least=True),
        Claim(f"{name}: the same within 20 % of what {twin} reaches", speedup(blocks), _WITHIN * found, at_least=True),
    ]


def _faster(name: str, blocks: Blocks) -> list[Claim]:
    wanted = _FASTER.get(name, {})
    return [Claim(f"{name}: faster than {over}", speedup(blocks, over), wanted[over], True) for over in wanted if over in blocks]


def _at_most(name: str, blocks: Blocks) -> list[Claim]:
    wanted = _AT_MOST.get(name, {})
    return [Claim(f"{name}: time over that of {over}", 1 / speedup(blocks, over), wanted[over], False) for over in wanted if over in blocks]
