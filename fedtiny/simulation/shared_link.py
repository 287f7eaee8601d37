"""A link that many devices share: the server's, or an access point's, one direction of it.

Its capacity C is shared max-min fairly among the transfers under way (processor sharing): a transfer whose own device can do no more
than c bytes per second gets no more than that, and what it leaves is for the others. With the *level* L, transfer i flows at

    rate of i = min(c_i, L),    sum of the rates = min(C, sum of the c_i)

(max-min fairness: Bertsekas and Gallager, Data Networks, 2nd ed., section 6.5.2). So the transfers are of two kinds: *limited* ones
flow at their own c <= L and end at a time that is known; *sharing* ones all flow at L, and end in the order of the bytes that each
of them has left. They are kept in virtual time V with dV/dt = L (Demers, Keshav and Shenker, SIGCOMM 1989): one with b bytes left
at V ends when V has come to V + b, whatever begins and ends meanwhile. So beginning or ending one transfer among n costs O(log n), and
not a change to each of the others; a transfer changes its kind when the level passes its c.

All that begins or ends at one instant changes the level once, at the end of the instant.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from operator import attrgetter
from typing import Final

from fedtiny.simulation.agenda import Agenda, Appointment, Stage

_Heap = list[tuple[float, int, "Flow"]]


class Flow:
    """A transfer under way on a shared link; `limit` is what its device can do alone (bytes per second)."""

    __slots__ = ("journey", "limit", "mark", "number", "shares", "stage")

    def __init__(self, number: int, journey: object, stage: Stage, limit: float) -> None:
        self.number, self.journey, self.stage, self.limit = number, journey, stage, limit
        self.shares: bool | None = None
        """Whether it flows at the level; otherwise at its limit. None: it has ended."""
        self.mark = 0.0
        """Virtual time at which it ends if it shares, and otherwise time (s)."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.shares is None


class SharedLink:
    """One direction of a link that serves many transfers at once; bytes per second."""

    __slots__ = (
        "_agenda",
        "_begun",
        "_by_time",
        "_by_virtual_time",
        "_capacity",
        "_ending",
        "_ends_next",
        "_level",
        "_limited",
        "_narrowest",
        "_settles",
        "_sharing",
        "_since",
        "_virtual",
        "_widest",
    )

    def __init__(self, agenda: Agenda, capacity: float) -> None:
        self._agenda, self._capacity = agenda, capacity
        self._level, self._virtual, self._since = inf, 0.0, agenda.environment.now
        self._begun = self._sharing = 0
        self._limited = _Sum()
        self._by_virtual_time: _Heap = []
        self._by_time: _Heap = []
        self._narrowest: _Heap = []
        self._widest: _Heap = []
        self._ending: Appointment | None = None
        self._ends_next: Flow | None = None
        self._settles = False

    def begin(self, size: float, limit: float, journey: object, stage: Stage) -> Flow:
        """Begins with a transfer of `size` bytes that its device can do at `limit` bytes per second; `stage` begins when it ends."""
        self._advance()
        self._begun += 1
        flow = Flow(self._begun, journey, stage, limit)
        self._put(flow, size, shares=limit > self._level or limit == inf)
        return flow

    def stop(self, flow: Flow) -> float:
        """Takes a transfer away before it ends, and gives the bytes that it had left."""
        self._advance()
        left = self._left(flow)
        self._take(flow)
        return left

    def change(self, flow: Flow, limit: float) -> None:
        """From now on the transfer's device can do so many bytes per second."""
        left = self.stop(flow)
        flow.limit = limit
        self._put(flow, left, shares=limit > self._level or limit == inf)

    def left(self, flow: Flow) -> float:
        """Bytes that a transfer still has to send."""
        self._advance()
        return self._left(flow)

    # --- what a transfer is --------------------------------------------------------------------------------------

    def _left(self, flow: Flow) -> float:
        if flow.shares is None:
            return 0.0
        return max(0.0, flow.mark - self._virtual if flow.shares else (flow.mark - self._since) * flow.limit)

    def _put(self, flow: Flow, left: float, *, shares: bool) -> None:
        flow.shares = shares
        if shares:
            self._sharing += 1
            flow.mark = self._virtual + left
            heappush(self._by_virtual_time, (flow.mark, flow.number, flow))
            heappush(self._narrowest, (flow.limit, flow.number, flow))
        else:
            self._limited.add(flow.limit, 1)
            flow.mark = self._since + left / flow.limit
            heappush(self._by_time, (flow.mark, flow.number, flow))
            heappush(self._widest, (-flow.limit, flow.number, flow))
        self._settle_later()

    def _take(self, flow: Flow) -> None:
        if flow.shares:
            self._sharing -= 1
        elif flow.shares is not None:
            self._limited.add(-flow.limit, -1)
        flow.shares = None
        self._settle_later()

    def _move(self, flow: Flow, *, shares: bool) -> None:
        left = self._left(flow)
        self._take(flow)
        self._put(flow, left, shares=shares)

    # --- what happens when ---------------------------------------------------------------------------------------

    def _advance(self) -> None:
        now = self._agenda.environment.now
        # within an instant the level is not yet known
        if now > self._since:
            self._virtual = self._virtual + self._level * (now - self._since) if self._sharing else 0.0
            self._since = now

    def _settle_later(self) -> None:
        if not self._settles:
            self._settles = True
            self._agenda.now(self, _SETTLE)

    def settle(self) -> None:
        """Everything that begins or ends now has done so: the level is found, and what ends next."""
        self._advance()
        self._find_level()
        self._settles = False
        if self._ending is not None:
            self._ending.call_off()
            self._ending = None
        sharing, limited = _first(self._by_virtual_time, _MARK, shares=True), _first(self._by_time, _MARK, shares=False)
        seconds = inf if sharing is None else (sharing.mark - self._virtual) / self._level
        if limited is not None and limited.mark - self._since < seconds:
            sharing, seconds = limited, limited.mark - self._since
        self._ends_next = sharing
        if seconds < inf:
            self._ending = self._agenda.appoint(max(0.0, seconds), self, _END)

    def _find_level(self) -> None:
        # first those that can no longer have their limit, the widest first; then those that the level has passed
        while (widest := _first(self._widest, _negative_limit, shares=False)) is not None:
            if widest.limit <= self._level_now():
                break
            self._move(widest, shares=True)
        while (narrowest := _first(self._narrowest, _LIMIT, shares=True)) is not None:
            if narrowest.limit > self._level_now():
                break
            self._move(narrowest, shares=False)
        self._level = self._level_now()

    def _level_now(self) -> float:
        if self._sharing:
            return (self._capacity - self._limited.total) / self._sharing
        return inf if self._limited.total <= self._capacity else 0.0

    def end(self) -> None:
        """What was to end next ends, and all that ends with it, in the order in which they began."""
        self._ending = None
        self._advance()
        due = self._ends_next
        # where it ends, whatever the rounding of the time
        if due is not None and due.shares:
            self._virtual = max(self._virtual, due.mark)
        elif due is not None and due.shares is False:
            self._since = max(self._since, due.mark)
        for flow in self._ended():
            flow.stage[0](flow.journey)

    def _ended(self) -> list[Flow]:
        ended: list[Flow] = []
        for heap, shares, now in ((self._by_virtual_time, True, self._virtual), (self._by_time, False, self._since)):
            while (flow := _first(heap, _MARK, shares=shares)) is not None and flow.mark <= now:
                # at once, so that it is not found again by what is left of an earlier entry
                self._take(flow)
                ended.append(flow)
        return sorted(ended, key=_NUMBER)


class _Sum:
    """A sum of limits from which limits are taken too, without the rounding of all that came and went (Neumaier's summation)."""

    __slots__ = ("_count", "_high", "_low")

    def __init__(self) -> None:
        self._high = self._low = 0.0
        self._count = 0

    def add(self, limit: float, count: int) -> None:
        """Adds a limit, or with a negative one and -1 takes it away."""
        self._count += count
        total = self._high + limit
        rounded = total - self._high
        self._low += (self._high - (total - rounded)) + (limit - rounded)
        self._high = total
        if not self._count:
            self._high = self._low = 0.0

    @property
    def total(self) -> float:
        """The sum."""
        return self._high + self._low


def _first(heap: _Heap, key: Callable[[Flow], float], *, shares: bool) -> Flow | None:
    """The first of a heap that is still what it was when it was put there; what comes before it is forgotten."""
    while heap:
        flow = heap[0][2]
        if flow.shares is shares and key(flow) == heap[0][0]:
            return flow
        heappop(heap)
    return None


def _negative_limit(flow: Flow) -> float:
    return -flow.limit


def shared_link(agenda: Agenda, name: tuple[str | int, ...], capacity: float) -> SharedLink | None:
    """The link of this name that the devices of an environment share; None where its capacity is unlimited."""
    if capacity == inf:
        return None
    links: dict[tuple[str | int, ...], SharedLink] = vars(agenda.environment).setdefault(_KEPT_AS, {})
    if name not in links:
        links[name] = SharedLink(agenda, capacity)
    return links[name]


_SETTLE: Final[Stage] = (SharedLink.settle,)
_END: Final[Stage] = (SharedLink.end,)
_MARK: Final = attrgetter("mark")
_LIMIT: Final = attrgetter("limit")
_NUMBER: Final = attrgetter("number")
_KEPT_AS: Final = "fedtiny_shared_links"
