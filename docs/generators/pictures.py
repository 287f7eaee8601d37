"""Pictures for pages: a figure of a run, made small, and whether two pictures show the same."""

from pathlib import Path

import numpy as np
from PIL import Image

_WIDTH = 900
_GRID = (48, 24)


def keep(source: Path, target: Path, width: int = _WIDTH) -> None:
    """Writes a figure as a picture of at most `width` pixels; in all its colours, since fewer would make two of a legend one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    picture.save(target, optimize=True)


def difference(one: Path, other: Path) -> float:
    """How far two pictures are apart, 0 to 1: the mean difference of their greys, seen from afar (24 x 48 fields)."""
    first, second = _greys(one), _greys(other)
    return float(np.abs(first - second).mean())


def _greys(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L").resize(_GRID, Image.Resampling.BOX), dtype=float) / 255
