"""Write the pages of docs/reference from the code: `make reference`."""

from collections.abc import Callable
from typing import Final

from catalog_page import catalog_page
from commands_page import commands_page
from documents import ROOT
from scenario_page import scenario_page

FOLDER: Final = ROOT / "docs" / "reference"
PAGES: Final[dict[str, Callable[[], str]]] = {"scenario.md": scenario_page, "catalog.md": catalog_page, "commands.md": commands_page}
"""The generated pages, and what makes their text."""


def main() -> None:
    """Writes all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in PAGES.items():
        (FOLDER / name).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
