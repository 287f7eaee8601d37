"""Reports: one self-contained HTML page and its figures as files, drawn from run folders alone.

A figure is a file in figures/ with a function `draw`, and one line below. Figures stand in the page as SVG; they also lie
beside it as SVG and PNG, for papers. Nothing of the host enters, so the same folders give the same bytes.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from fedtiny.errors import FolderError
from fedtiny.reports import style
from fedtiny.reports.blocks import Page, Picture
from fedtiny.reports.citations import CITATIONS_FILE, bibtex_of
from fedtiny.reports.design_page import design_page
from fedtiny.reports.figures import (
    charge_over_time,
    chosen_delays,
    critical_path,
    design_search,
    learning_by_class,
    learning_over_bytes,
    learning_over_energy,
    learning_over_rounds,
    learning_over_time,
    memory,
    pareto_fronts,
    processor_time,
    round_durations,
    search_front,
    search_progress,
    speed_up,
    staleness_and_waste,
    sweep_best_choice,
    sweep_curves,
    sweep_effect,
    sweep_heat_map,
    sweep_paired,
    timeline,
)
from fedtiny.reports.greyscale import make_greyscale_safe
from fedtiny.reports.inline_svg import inline_svg
from fedtiny.reports.search_trials import tried_all
from fedtiny.reports.sections import comparison_page, run_page, sweep_page
from fedtiny.results.design import is_design, read_design
from fedtiny.results.files import replace_file
from fedtiny.results.folder import read_run
from fedtiny.results.record import ACTIVITIES, Citation, RunResult
from fedtiny.results.sweep import SweepResult, is_sweep, read_sweep

REPORT_FILE: Final = "report.html"
FIGURES_FOLDER: Final = "figures"
PRINTED_FOLDER: Final = "paper"

Figures = dict[str, tuple[Figure, str, bool]]
"""By their names: figures, their captions, and whether they take the page's full width."""


@dataclass(frozen=True)
class RunFigure:
    """A figure of runs: its name, how it is drawn, its caption, and whether it takes the page's full width."""

    name: str
    draw: Callable[[Sequence[RunResult]], Figure | None]
    caption: str
    wide: bool = False


RUN_FIGURES: Final = (
    RunFigure("learning_over_rounds", learning_over_rounds.draw, "Accuracy and loss over rounds: what the algorithm does."),
    RunFigure("learning_over_time", learning_over_time.draw, "Accuracy and loss over virtual time: what one waits for."),
    RunFigure("learning_over_bytes", learning_over_bytes.draw, "Accuracy and loss over the bytes that all devices sent and received."),
    RunFigure(
        "learning_over_energy", learning_over_energy.draw, "Accuracy and loss over the joules of the whole fleet, idle devices included."
    ),
    RunFigure("speed_up", speed_up.draw, "How much sooner each run reaches an accuracy than the first run; above 1 it is sooner."),
    RunFigure(
        "pareto_fronts",
        pareto_fronts.draw,
        "Final accuracy against what it cost. On the line: runs that no other beats in both.",
        wide=True,
    ),
    RunFigure("round_durations", round_durations.draw, "How long rounds took, from one version of the model to the next."),
    RunFigure(
        "learning_by_class",
        learning_by_class.draw,
        "Accuracy of the global model on the labels that each device class holds, over virtual time.",
        wide=True,
    ),
    RunFigure("timeline", timeline.draw, "Downlink (above), processor and uplink (below) of some devices of every class.", wide=True),
    RunFigure("processor_time", processor_time.draw, "Where the processors' time goes, by device class, over the whole run.", wide=True),
    RunFigure("critical_path", critical_path.draw, "What the run waited for: its critical path per round, by cause.", wide=True),
    RunFigure(
        "staleness_and_waste",
        staleness_and_waste.draw,
        "How many versions were made between a contribution's start and its use, and what was done for nothing.",
        wide=True,
    ),
    RunFigure("chosen_delays", chosen_delays.draw, "The delay that was chosen for each round, in local steps."),
    RunFigure(
        "charge_over_time", charge_over_time.draw, "How full the batteries of each class are: means, and from least to most.", wide=True
    ),
    RunFigure("memory", memory.draw, "What training takes on each device class, against the memory that it offers.", wide=True),
)
SEARCH_FIGURES: Final = ("search_front", "search_progress")
SWEEP_FIGURES: Final = ("sweep_best_choice", "sweep_heat_map", "sweep_paired", "sweep_effect", "sweep_curves", "sweep_pareto_fronts")


def write_report(folders: Sequence[str | Path], out: str | Path, *, printed: bool = False) -> Path:
    """Write report.html, figures/ and citations.bib into `out` and give the path of report.html.

    One run gives its own page, several runs a comparison with the first of them, one sweep or one design its own page. `printed` also
    draws the figures for a printed paper, into figures/paper/, as PDF too (style.printed). Raises FolderError if a folder is none of
    these, or if a sweep or a design is to stand beside others.
    """
    places = [Path(folder) for folder in folders]
    if not places:
        raise FolderError("name at least one run folder to report on")
    if len(places) == 1 and is_sweep(places[0]):
        return write_sweep_report(places[0], out, printed=printed)
    if len(places) == 1 and is_design(places[0]):
        return write_design_report(places[0], out, printed=printed)
    results = _named_apart([read_run(place) for place in places], places)
    pictures = _write_figures(lambda: _run_figures(results), Path(out), printed=printed)
    _write_citations(results, Path(out))
    page = run_page(results[0], pictures) if len(results) == 1 else comparison_page(results, pictures)
    return _write_page(page, Path(out))


def write_sweep_report(folder: str | Path, out: str | Path | None = None, *, printed: bool = False) -> Path:
    """The same of a sweep, into its own folder unless `out` names another."""
    sweep = read_sweep(folder)
    runs = _runs_of(sweep, Path(folder))
    place = Path(folder if out is None else out)
    pictures = _write_figures(lambda: _sweep_figures(sweep, runs), place, printed=printed)
    _write_citations(list(runs.values()), place, sweep.search.citations if sweep.search else ())
    return _write_page(sweep_page(sweep, list(runs.values()), pictures), place)


def write_design_report(folder: str | Path, out: str | Path | None = None, *, printed: bool = False) -> Path:
    """The same of a design, from its design.json."""
    document, place = read_design(Path(folder)), Path(folder if out is None else out)
    caption = "Validation accuracy of every network that was evaluated, against its work and the tightest need, and by generation."
    pictures = _write_figures(lambda: {"design_search": (design_search.draw(document), caption, True)}, place, printed=printed)
    _write_citations((), place, document["citations"])
    return _write_page(design_page(document, pictures), place)


def _run_figures(results: Sequence[RunResult]) -> Figures:
    return {figure.name: (drawn, figure.caption, figure.wide) for figure in RUN_FIGURES if (drawn := figure.draw(results)) is not None}


def _sweep_figures(sweep: SweepResult, runs: dict[str, RunResult]) -> Figures:
    """Of a search its own, and those of a grid only if all of it was tried: gaps would be taken for results."""
    drawn = {
        "search_front": (
            search_front.draw(sweep),
            "What the trials came to (means over the seeds) and the Pareto front, which is that of all objectives together.",
        ),
        "search_progress": (search_progress.draw(sweep), "What each trial came to (means over the seeds), in their order."),
        "sweep_pareto_fronts": (
            pareto_fronts.draw_sweep(sweep, runs),
            "Final accuracy of the combinations against what they cost (means over the seeds). On the line: no other beats them in both.",
        ),
        **(_grid_figures(sweep, runs) if tried_all(sweep) else {}),
    }
    return {name: (figure, caption, True) for name, (figure, caption) in drawn.items() if figure is not None}


def _grid_figures(sweep: SweepResult, runs: dict[str, RunResult]) -> dict[str, tuple[Figure | None, str]]:
    return {
        "sweep_best_choice": (
            sweep_best_choice.draw(sweep),
            "Which choice reaches the target soonest. ≈: its seeds do not tell it from the second (95 %). Hatched: nothing fits.",
        ),
        "sweep_paired": (
            sweep_paired.draw(sweep),
            "Times sooner than the first choice: geometric mean over paired seeds and 95 % interval, in brackets where it includes 1.",
        ),
        "sweep_heat_map": (sweep_heat_map.draw(sweep), "Every cell of the sweep: mean over the seeds ± half its 95 % interval."),
        "sweep_effect": (
            sweep_effect.draw(sweep),
            "What one axis does; bars are 95 % intervals, an open triangle is a cell in which not every seed reached the target.",
        ),
        "sweep_curves": (sweep_curves.draw(sweep, runs), "Accuracy over virtual time of every cell, one line for each seed."),
    }


def _runs_of(sweep: SweepResult, folder: Path) -> dict[str, RunResult]:
    """The finished runs without activities and weights, of which a large sweep has more than memory holds."""
    done = [row["cell"] for row in sweep.cells.to_pylist() if row["status"] == "done" and row["cell"] in sweep.folders]
    return {cell: replace(read_run(folder / sweep.folders[cell]), activities=ACTIVITIES.empty_table(), model={}) for cell in done}


def _named_apart(results: Sequence[RunResult], places: Sequence[Path]) -> list[RunResult]:
    """The runs under names that tell them apart: their own, else those of their folders, else numbered."""
    for names in ([result.name for result in results], [place.resolve().name for place in places]):
        if len(set(names)) == len(names):
            return [replace(result, name=name) for result, name in zip(results, names, strict=True)]
    return [replace(result, name=f"{result.name} #{place}") for place, result in enumerate(results, start=1)]


def _write_figures(draw: Callable[[], Figures], out: Path, *, printed: bool) -> dict[str, Picture]:
    """Writes every figure as SVG and PNG, removes those of an earlier report that have gone, and gives them for the page."""
    pictures = {}
    folder, figures = out / FIGURES_FOLDER, draw()
    for name, (figure, caption, wide) in figures.items():
        svg = style.svg_text(figure)
        replace_file(folder / f"{name}.svg", svg.encode())
        replace_file(folder / f"{name}.png", style.png_bytes(figure))
        pictures[name] = Picture(name, inline_svg(svg, name, caption, style.PAGE_COLORS), caption, wide)
    _remove_others(folder, figures)
    if printed:
        _write_printed(draw, folder / PRINTED_FOLDER)
    return pictures


def _write_printed(draw: Callable[[], Figures], folder: Path) -> None:
    """Draws the figures again, for a printed paper, as PDF, SVG and PNG."""
    with style.printed():
        figures = draw()
        for name, (figure, _, _) in figures.items():
            make_greyscale_safe(figure)
            replace_file(folder / f"{name}.pdf", style.pdf_bytes(figure))
            replace_file(folder / f"{name}.svg", style.svg_text(figure).encode())
            replace_file(folder / f"{name}.png", style.png_bytes(figure))
    _remove_others(folder, figures)


def _remove_others(folder: Path, kept: Iterable[str]) -> None:
    for name in {*(figure.name for figure in RUN_FIGURES), *SWEEP_FIGURES, *SEARCH_FIGURES} - set(kept):
        for ending in ("svg", "png", "pdf"):
            (folder / f"{name}.{ending}").unlink(missing_ok=True)


def _write_citations(results: Sequence[RunResult], out: Path, more: Sequence[Citation] = ()) -> None:
    """Writes citations.bib beside the page, if anything is cited."""
    if entries := bibtex_of(results, more):
        replace_file(out / CITATIONS_FILE, entries.encode())


def _write_page(page: Page, out: Path) -> Path:
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    css = Markup((here / "report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    script = Markup((here / "report.js").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    html = environment.get_template("report.html.jinja").render(page=page, css=css, script=script, script_hash=_hash(script))
    replace_file(out / REPORT_FILE, (html + "\n").encode())
    return out / REPORT_FILE


def _hash(script: str) -> str:
    """The script's name in the page's Content-Security-Policy: no other script runs there (W3C, CSP Level 3, section 2.3.1)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
