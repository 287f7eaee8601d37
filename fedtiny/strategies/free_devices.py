"""Who is free to be asked, and whom the server asks next: drawn evenly of those who are there, in a time that does not grow with the fleet
as long as a share of it is there."""

from collections.abc import Callable, Iterable, Sequence

Sample = Callable[[Sequence[int], int], list[int]]
"""Draws so many of a sequence, as Python's `random.sample` does."""


class FreeDevices:
    """The devices that are not at work."""

    def __init__(self, devices: Iterable[int], sample: Sample, is_there: Callable[[int], bool]) -> None:
        self._free, self._sample, self._is_there = list(devices), sample, is_there

    def __len__(self) -> int:
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """So many of them that are there, or all if there are fewer, drawn at random and in ascending order; they are no longer free."""
        free, unseen = self._free, len(self._free)
        chosen: list[int] = []
        while len(chosen) < count and unseen:
            place = self._sample(range(unseen), 1)[0] if unseen > 1 else 0
            unseen -= 1
            # those that were drawn and are not there stand behind the others, and are not drawn again
            free[place], free[unseen] = free[unseen], free[place]
            if self._is_there(free[unseen]):
                free[unseen], free[-1] = free[-1], free[unseen]
                chosen.append(free.pop())
        return sorted(chosen)

    def give_back(self, device: int) -> None:
        """A device is free again."""
        self._free.append(device)
