"""Run the repository's scenarios and keep a picture of each for docs/gallery.md: `make gallery` (a quarter of an hour).

`python docs/generators/gallery.py NAME ...` runs only these. What takes an hour or more is not run: its picture is the one that its own
make target draws. The page's text is written by `make reference`.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

import yaml
from documents import ROOT
from markdown import GENERATED
from pictures import keep

PAGE: Final = ROOT / "docs" / "gallery.md"
FIGURES: Final = ROOT / "docs" / "figures"
SCENARIOS: Final = ROOT / "scenarios"
_WIDTH: Final = 760
_NARROW: Final = 430
"""Of figures that take half the page's width."""


@dataclass(frozen=True)
class Entry:
    """A scenario with its command, its picture and what there is to see in it."""

    name: str
    command: str
    figure: str
    """The figure of the report that is kept; or a picture in docs/figures, which another program draws."""
    takes: str
    """How long the command took on two cores, or the target of `make` that draws the picture."""
    see: str
    more: str = ""
    """A page that goes into it."""
    options: str = ""
    """What follows the scenario's file in the command."""

    @property
    def scenario(self) -> Path:
        """The scenario's file."""
        return SCENARIOS / f"{self.name}.yaml"

    @property
    def drawn_here(self) -> bool:
        """Whether `make gallery` runs it."""
        return not self.figure.endswith(".png")

    @property
    def picture(self) -> Path:
        """The kept picture."""
        return FIGURES / "gallery" / f"{self.name}.png" if self.drawn_here else FIGURES / self.figure

    @property
    def width(self) -> int:
        """How many pixels wide the kept picture is at most."""
        return _NARROW if self.figure.startswith("learning_over") else _WIDTH

    @property
    def line(self) -> str:
        """The command as it is typed."""
        return f"fedtiny {self.command} scenarios/{self.name}.yaml{self.options}"


def _entries() -> tuple[Entry, ...]:
    """What gallery.yaml lists."""
    found = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return tuple(Entry(name, **keys) for name, keys in found.items())


ENTRIES: Final = _entries()
INTRODUCTION: Final = """Every scenario of the repository, with what it asks, how to run it, and what comes of it. Each is a
YAML file with comments, to start your own from. Times are those of two cores."""


def question(scenario: Path) -> str:
    """What a scenario is about: the first paragraph of its comments."""
    lines = takewhile(lambda line: line.startswith("# "), scenario.read_text(encoding="utf-8").splitlines())
    return " ".join(line.removeprefix("# ") for line in lines)


def gallery_page() -> str:
    """The page's text."""
    return "\n\n".join([GENERATED, "# Gallery of scenarios", INTRODUCTION, *map(_section, ENTRIES)]) + "\n"


def _section(entry: Entry) -> str:
    picture = entry.picture.relative_to(PAGE.parent)
    more = f" More: [{Path(entry.more.partition('#')[0]).stem.replace('_', ' ')}]({entry.more})." if entry.more else ""
    link = f"[`scenarios/{entry.name}.yaml`](../scenarios/{entry.name}.yaml)"
    return (
        f"## {entry.name.rpartition('/')[2].replace('_', ' ')}{' (papers)' if '/' in entry.name else ''}\n\n{question(entry.scenario)}\n\n"
        f"```bash\n{entry.line}\n```\n\n![{entry.see}]({picture})\n\n{entry.see} {entry.takes[0].upper()}{entry.takes[1:]}. {link}.{more}"
    )


def draw(entry: Entry, folder: Path) -> None:
    """Runs an entry's command and keeps its picture."""
    out = folder / entry.name
    words = ["-m", "fedtiny", *entry.line.split()[1:], "--out", str(out), "--quiet"]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True)
    keep(out / "figures" / f"{entry.figure}.png", entry.picture, entry.width)


def main() -> None:
    """Draws the pictures of the scenarios that are named, or of all that are run here."""
    wanted = [entry for entry in ENTRIES if entry.drawn_here and (len(sys.argv) == 1 or entry.name in sys.argv)]
    with tempfile.TemporaryDirectory() as folder:
        for entry in wanted:
            draw(entry, Path(folder))


if __name__ == "__main__":
    main()
