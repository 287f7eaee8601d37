"""Draw the figures of docs/tutorial.md again, by doing what it says: `make tutorial`."""

import tempfile
from pathlib import Path

from documents import ROOT, follow, in_this_process
from pictures import keep

PAGE = ROOT / "docs" / "tutorial.md"
FIGURES = ROOT / "docs" / "figures" / "tutorial"
DRAWN = {"latency": "runs/latency/figures/sweep_effect.png", "memory": "runs/memory/figures/sweep_heat_map.png"}
"""The pictures of the page, and where its commands draw them."""


def main() -> None:
    """Follows the tutorial in an empty folder, and keeps its figures."""
    with tempfile.TemporaryDirectory() as folder:
        follow(PAGE, Path(folder), in_this_process, skipped=("install",))
        for name, figure in DRAWN.items():
            keep(Path(folder) / figure, FIGURES / f"{name}.png")


if __name__ == "__main__":
    main()
