"""Predicts everything that was measured elsewhere, and says how far off that is.

python benchmarks/validation/validate.py        writes docs/validation.md and docs/figures/validation.png; fails where a threshold is missed
"""

import sys
from pathlib import Path
from typing import Final

import boards
import microcontrollers
import networks
import page
import phones
import raspberry_pi_4
import raspberry_pi_5

DOCS: Final = Path(__file__).parents[2] / "docs"
SECTIONS: Final = (
    *(raspberry_pi_4.section, raspberry_pi_5.section, microcontrollers.sparse_steps, microcontrollers.inference),
    *(phones.in_dl4j, phones.in_mnn, boards.jetson_nano, boards.tinytrain, networks.distributions),
)


def main() -> int:
    """Writes the page; 1 where a threshold is missed."""
    sections = [section() for section in SECTIONS]
    page.write(sections, DOCS)
    missed = [check for section in sections for check in section.checks if not check.met]
    for section in sections:
        for check in section.checks:
            print(f"{'met   ' if check.met else 'MISSED'} {check.found:.3f} ({check.least:.2f} to {check.most:.2f})  {check.claim}")
    print(f"{sum(len(section.rows) for section in sections)} rows in {DOCS / 'validation.md'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
