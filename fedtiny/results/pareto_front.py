"""The Pareto front of points with any number of objectives."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def on_front(losses: npt.NDArray[np.float64]) -> list[bool]:
    """Of points (points, objectives), smaller being better: whether no other is as small in everything and smaller in something.

    Of equal points all are on the front or none. A point with a NaN, a value that is not known, is not, and beats none.
    """
    known = np.array([not np.isnan(point).any() for point in losses], dtype=bool)
    found = []
    for point, comparable in zip(losses, known, strict=True):
        as_good, better = (losses[known] <= point).all(axis=1), (losses[known] < point).any(axis=1)
        found.append(bool(comparable) and not bool((as_good & better).any()))
    return found


def as_losses(values: Sequence[Sequence[float | None]], objectives: int) -> npt.NDArray[np.float64]:
    """Values as an array (points, objectives), None as NaN."""
    return np.array([[np.nan if value is None else value for value in one] for one in values], dtype=np.float64).reshape(-1, objectives)
