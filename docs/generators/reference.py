"""Write the pages that come from the code, docs/reference and the text of docs/gallery.md: `make reference`."""

from collections.abc import Callable
from typing import Final

from catalog_page import catalog_page
from commands_page import commands_page
from documents import ROOT
from gallery import gallery_page
from scenario_page import scenario_page

FOLDER: Final = ROOT / "docs"
PAGES: Final[dict[str, Callable[[], str]]] = {
    "reference/scenario.md": scenario_page,
    "reference/catalog.md": catalog_page,
    "reference/commands.md": commands_page,
    "gallery.md": gallery_page,
}
"""The generated pages, and what makes their text."""


def main() -> None:
    """Writes all pages."""
    for name, text in PAGES.items():
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
