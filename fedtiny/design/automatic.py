"""Which update a device trains: the first of the candidates, best first, whose memory and time fit.

    fits = total bytes of the ledger <= budget    and    local steps * seconds of a step <= time of a round, where one is stated

On a device that pages, where none fits the memory, the one that pages the least of those that fit the time is trained. The bytes are
those of the scenario's accounting, with what the strategy keeps on the device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fedtiny.updates.plan import UpdatePlan


class Needs(Protocol):
    """What training takes of a device's memory."""

    @property
    def total_bytes(self) -> int:
        """All items together."""

    @property
    def items(self) -> Mapping[str, int]:
        """Bytes by item."""


@dataclass(frozen=True)
class Offer:
    """What a candidate would take on a device."""

    plan: UpdatePlan
    needs: Needs
    round_seconds: float
    """Seconds of a round's local steps."""
    paged_bytes: int = 0
    """Bytes that a step puts out to storage and back, on a device that pages; its seconds are in those of the round."""


@dataclass(frozen=True)
class Choice:
    """The candidate that a device trains, or, where none fits, the one that needs the least memory."""

    offer: Offer
    place: int
    """Its place among the candidates, 0 the best."""
    fits: bool
    reason: str
    """Why this one, such as "full needs 14.2 MB of 8 MB; tinytl fits with 5.1 MB"."""


def choose(offers: Sequence[Offer], budget: float, round_time: float | None = None) -> Choice:
    """The first offer that fits the memory budget (bytes) and the time of a round (s); else the one that pages least, of those that do."""
    refusals: list[str] = []
    for place, offer in enumerate(offers):
        refusal = _refusal(offer, budget, round_time)
        if not refusal:
            return Choice(offer, place, True, "; ".join([*refusals, _acceptance(offer, round_time)]))
        refusals.append(refusal)
    least = min(range(len(offers)), key=lambda place: offers[place].needs.total_bytes)
    paging = [place for place, offer in enumerate(offers) if offer.paged_bytes and not _too_slow(offer, round_time)]
    if not paging:
        return Choice(offers[least], least, False, "; ".join(refusals))
    place = min(paging, key=lambda place: offers[place].paged_bytes)
    pages = f"{offers[place].plan.scheme} pages {size_text(offers[place].paged_bytes)} a step"
    return Choice(offers[place], place, True, "; ".join([*refusals, pages]))


def _refusal(offer: Offer, budget: float, round_time: float | None) -> str:
    if offer.needs.total_bytes > budget:
        return f"{offer.plan.scheme} needs {size_text(offer.needs.total_bytes)} of {size_text(budget)}"
    return _too_slow(offer, round_time)


def _too_slow(offer: Offer, round_time: float | None) -> str:
    if round_time is not None and offer.round_seconds > round_time:
        return f"{offer.plan.scheme} needs {offer.round_seconds:.4g} s a round of {round_time:.4g} s"
    return ""


def _acceptance(offer: Offer, round_time: float | None) -> str:
    time = "" if round_time is None else f" and {offer.round_seconds:.4g} s a round"
    return f"{offer.plan.scheme} fits with {size_text(offer.needs.total_bytes)}{time}"


def size_text(size: float) -> str:
    """A number of bytes as a text, such as "14.2 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size:.0f} B"
