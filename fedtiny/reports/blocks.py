"""What a page is made of: sections of tables, figures, sentences and listings, as plain values that the template writes."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Table:
    """Texts in rows and columns; the first `text_columns` columns stand left, the others are numbers and stand right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    text_columns: int = 1
    kind: str = "table"


@dataclass(frozen=True)
class Picture:
    """A figure as inline SVG with its caption; a wide one may be scrolled sideways on a small screen."""

    name: str
    svg: str
    caption: str
    wide: bool
    kind: str = "picture"


@dataclass(frozen=True)
class Sentences:
    """A list of sentences."""

    items: tuple[str, ...]
    kind: str = "sentences"


@dataclass(frozen=True)
class Listing:
    """Text to be read and copied as it stands (YAML, BibTeX); folded away under its title until asked for.

    With the name of a `file`, the page offers it for download under that name.
    """

    title: str
    text: str
    file: str = ""
    kind: str = "listing"

    @property
    def address(self) -> str:
        """The text as an address that holds it (RFC 2397), so that a download asks nobody for anything."""
        return f"data:text/plain;charset=utf-8,{quote(self.text)}"


Block = Table | Picture | Sentences | Listing


@dataclass(frozen=True)
class Section:
    """A heading, a sentence that says what is to be seen, and blocks."""

    title: str
    introduction: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Tile:
    """One number of the page's head, what it is, and what belongs to it."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Page:
    """A whole page; `subject` says what it shows (a run, a comparison, a sweep)."""

    subject: str
    title: str
    headline: tuple[str, ...]
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
