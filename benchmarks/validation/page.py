"""docs/validation.md and its figure, from the sections of the validation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from rows import Check, Row, Section, median_error

from fedtiny.fleet.catalog import sources
from fedtiny.reports.style import CYCLE, MARKERS, RULE, SOFT, TWO_COLUMNS, new_figure, paper, png_bytes

FAMILIES: Final = {
    "Raspberry Pi 4": ("Raspberry Pi 4,",),
    "Raspberry Pi 5": ("Raspberry Pi 5,",),
    "microcontrollers": ("STM32F746", "MLPerf Tiny"),
    "phones": ("Phones", "Snapdragon"),
    "Jetson Nano": ("Jetson Nano",),
    "energy": ("Energy",),
}
_MISSED: Final = 0.25
Marks = tuple[str, str]
"""Between which lines of the page another program's part stands."""
THIS_MACHINE: Final[Marks] = (
    "<!-- this machine: benchmarks/validation/this_machine.py writes what follows -->",
    "<!-- end of this machine -->",
)
REAL_NODES: Final[Marks] = ("<!-- real nodes: benchmarks/real/makespan.py writes what follows -->", "<!-- end of real nodes -->")
_SOURCES_HEAD: Final = "## Sources\n"
_HEAD: Final = """# Predicted against measured

What FedTiny's clock and meter say, beside what others measured. `make validate` writes this page and checks the thresholds below; the
fast ones are tests, too (`tests/benchmarks/test_validation.py`). Measurements are in `benchmarks/validation/data/`, with their sources.
A row is a *prediction* unless the profile's numbers were derived from it, or it is only a bound: such rows are listed, and their errors
summed up apart. Nothing is left out because it does not fit. The model of time is that of `fedtiny/costs/compute.py`, with the profiles
of `fedtiny catalog devices`.

![Predicted against measured seconds and joules](figures/validation.png)

*Full markers are predictions, hollow ones what the profiles were fitted to or bounds; the band is a factor of 1.25.*
"""


def write(sections: Sequence[Section], docs: Path) -> None:
    """Writes the page and its figure below `docs`."""
    rows = [row for section in sections for row in section.rows]
    parts = [_HEAD, _checks(sections), _summary(rows), _misses(rows)]
    parts += [f"## {section.title}\n\n{section.text}\n\n{_rows(section.rows)}" for section in sections]
    parts.append(_sources(rows))
    page = docs / "validation.md"
    before = page.read_text(encoding="utf-8") if page.is_file() else ""
    text = "\n\n".join(part.strip() for part in parts) + "\n"
    for marks in (THIS_MACHINE, REAL_NODES):
        text = with_part(text, _part_of(before, marks), marks)
    page.write_text(text, encoding="utf-8")
    (docs / "figures" / "validation.png").write_bytes(figure(rows))


def with_part(page: str, part: str, marks: Marks = THIS_MACHINE) -> str:
    """The page with this part between its marks, before the sources; another program writes it, and nothing else touches it."""
    first, last = marks
    head, begin, rest = page.partition(first)
    if begin:
        rest = rest.partition(last)[2].lstrip("\n")
    else:
        head, sources, rest = page.rpartition(_SOURCES_HEAD)
        rest = sources + rest
    return f"{head.rstrip()}\n\n{first}\n\n{part.strip()}\n\n{last}\n\n{rest}" if part.strip() else page


def _part_of(page: str, marks: Marks = THIS_MACHINE) -> str:
    """What stands between the marks."""
    return page.partition(marks[0])[2].partition(marks[1])[0]


def _checks(sections: Sequence[Section]) -> str:
    checks: list[Check] = [check for section in sections for check in section.checks]
    lines = ["## Thresholds", "", "| what | found | wanted | met |", "|---|---|---|---|"]
    for check in checks:
        wanted = f"at most {check.most:.2g}" if check.least == 0 else f"{check.least:.2f} to {check.most:.2f}"
        lines.append(f"| {check.claim} | {_share(check.found)} | {wanted} | {'yes' if check.met else 'NO'} |")
    return "\n".join(lines)


def _share(found: float) -> str:
    return f"{found:.3f}" if found >= 0.001 or found == 0 else f"{found:.1g}"


def _summary(rows: Sequence[Row]) -> str:
    lines = [
        "## In short",
        "",
        "Median absolute errors.",
        "",
        "| rows | predictions | their error | other rows | their error |",
        "|---|---|---|---|---|",
    ]
    for group in dict.fromkeys(row.group for row in rows):
        own = [row for row in rows if row.group == group]
        parts = [[row for row in own if row.counted == counted] for counted in (True, False)]
        cells = [cell for part in parts for cell in (str(len(part)) if part else "", f"{median_error(part):.1%}" if part else "")]
        lines.append(f"| {group} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _misses(rows: Sequence[Row]) -> str:
    missed = [row for row in rows if abs(row.error) > _MISSED]
    counts = [(sum(row.counted == counted for row in some)) for counted in (True, False) for some in (missed, rows)]
    lines = [
        "## What is missed",
        "",
        f"Off by more than {_MISSED:.0%}: {counts[0]} of {counts[1]} predictions, {counts[2]} of {counts[3]} other rows.",
        "",
        "| device | what | error | prediction? | why |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_missed(row) for row in missed)])


def _missed(row: Row) -> str:
    return f"| {row.device} | {row.what} | {row.error:+.0%} | {'yes' if row.counted else 'no'} | {row.note or 'not known'} |"


def _rows(rows: Sequence[Row]) -> str:
    lines = ["| device | what | predicted | measured | error | source | prediction? |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        said = "yes" if row.counted else "no"
        note = f"{said}: {row.note}" if row.note else said
        numbers = f"{_number(row.predicted, row.unit)} | {_number(row.measured, row.unit)} | {row.error:+.1%}"
        lines.append(f"| {row.device} | {row.what} | {numbers} | {row.source} | {note} |")
    return "\n".join(lines)


def _number(value: float, unit: str) -> str:
    if unit == "s" and value < 1:
        return f"{value * 1e3:.4g} ms"
    return f"{value:.4g} {unit}".strip()


def _sources(rows: Sequence[Row]) -> str:
    used = sorted({row.source for row in rows})
    lines = [_SOURCES_HEAD]
    for key in used:
        source = sources()[key]
        lines.append(f"- `{key}`: {source.citation.strip()} {source.url or ''}".rstrip())
    return "\n".join(lines)


def figure(rows: Sequence[Row]) -> bytes:
    """Predicted against measured on logarithmic axes, seconds beside joules of devices, as PNG."""
    rows = [row for row in rows if _family(row)]
    with paper():
        drawn = new_figure(TWO_COLUMNS, 3.6)
        panels = drawn.subplots(1, 2, width_ratios=[1.5, 1])
        for axes, unit, name in zip(panels, ("s", "J"), ("time", "energy"), strict=True):
            _panel(axes, [row for row in rows if row.unit == unit], f"{name} ({unit})")
        panels[0].set_title("time of a step, an inference or an epoch")
        panels[1].set_title("energy")
        drawn.legend(handles=_legend(rows), loc="outside lower center", ncols=6, handletextpad=0.2, columnspacing=1.0)
        return png_bytes(drawn)


def _panel(axes: Axes, rows: Sequence[Row], label: str) -> None:
    ends = [min(row.measured for row in rows) / 2, max(row.measured for row in rows) * 2]
    axes.plot(ends, ends, color=SOFT, linewidth=0.8)
    axes.fill_between(ends, [end / 1.25 for end in ends], [end * 1.25 for end in ends], color=RULE, linewidth=0, alpha=0.7)
    for place, family in enumerate(FAMILIES):
        for counted in (False, True):
            own = [row for row in rows if _family(row) == family and row.counted == counted]
            face = CYCLE[place] if counted else "none"
            axes.scatter(
                *([row.measured for row in own], [row.predicted for row in own]),
                s=14,
                marker=MARKERS[place],
                facecolors=face,
                edgecolors=CYCLE[place],
                linewidths=0.7,
            )
    axes.set(xscale="log", yscale="log", xlabel=f"measured {label}", ylabel=f"predicted {label}")
    axes.grid(visible=True)


def _family(row: Row) -> str:
    return next((family for family, starts in FAMILIES.items() if row.group.startswith(starts)), "")


def _legend(rows: Sequence[Row]) -> list[Line2D]:
    shown = {_family(row) for row in rows}
    looks = zip(FAMILIES, MARKERS, CYCLE, strict=True)
    return [
        Line2D([], [], marker=marker, color=colour, linestyle="", markersize=4, label=name)
        for name, marker, colour in looks
        if name in shown
    ]
