"""The pages of a run, of several runs side by side and of a sweep: which sections they have and what stands in them."""

from collections.abc import Mapping, Sequence
from typing import Final

from fedtiny.reports.attribution import attribution_sentence, attribution_table
from fedtiny.reports.batteries import battery_table
from fedtiny.reports.blocks import Block, Listing, Page, Picture, Section, Sentences, Table, Tile
from fedtiny.reports.citations import citation_blocks
from fedtiny.reports.description import differences_table, parts_table
from fedtiny.reports.energy import energy_table, flash_table
from fedtiny.reports.headline import comparison_headline, run_headline
from fedtiny.reports.participation import participation_sentence, participation_table
from fedtiny.reports.quantities import count, percent
from fedtiny.reports.search_headline import search_headline
from fedtiny.reports.search_table import search_table
from fedtiny.reports.search_trials import tried_all
from fedtiny.reports.sweep_axes import value_label
from fedtiny.reports.sweep_headline import sweep_headline
from fedtiny.reports.sweep_tables import learnt_table, paired_table, spent_table
from fedtiny.reports.tables import comparison_table, devices_table, fleet_table, ladder_table, rounds_table, tiles, totals_table
from fedtiny.results.metrics import Target, common_target
from fedtiny.results.record import Citation, RunResult
from fedtiny.results.sweep import SweepResult, combinations

Pictures = Mapping[str, Picture]

_LEARNING: Final = ("learning_over_rounds", "learning_over_time", "learning_over_bytes", "learning_over_energy")
_TIME: Final = ("timeline", "processor_time", "round_durations")
_PAIRED_TEXT: Final = "All cells of a seed see the same devices, data, latencies and dropouts; so they are compared seed by seed."
_SEARCH_TEXT: Final = "Each trial is one combination; its objectives are means over its seeds, and there are none where one seed has none."
_MOST_VALUES: Final = 20
_FRONTS_TEXT: Final = "What is best when several things count: accuracy, and each of what it costs."
_LEARNING_TEXT: Final = "The global model on the test set, against each of the things that learning costs."
_CLASSES_TEXT: Final = "What devices hold differs by class: the test accuracy of each label, weighted as the class holds them."
_ENERGY_TEXT: Final = "What the joules were spent on, by device class."
_TIME_TEXT: Final = "A window from the middle of the run. Narrow bars are waiting; a slanted stroke is a message on its way."


def run_page(result: RunResult, pictures: Pictures) -> Page:
    """The page of one run."""
    ladder, who, powered = ladder_table(result), participation_table(result), battery_table(result)
    sections = (
        Section("Learning", _LEARNING_TEXT, _chosen(pictures, _LEARNING)),
        Section("Who trained what", participation_sentence(result), (who,) if who else ()),
        Section("For whom it is good", _CLASSES_TEXT, _chosen(pictures, ("learning_by_class",))),
        Section("Time to accuracy", "When the global model first reached each accuracy.", (ladder,) if ladder else ()),
        Section("Where the time goes", _TIME_TEXT, _chosen(pictures, _TIME)),
        _waited_for([result], pictures),
        Section("Fleet and memory", "", (fleet_table(result), *_chosen(pictures, ("memory",)))),
        Section("Devices", "", (devices_table(result),)),
        Section("Energy", _ENERGY_TEXT, tuple(table for table in (energy_table(result), flash_table(result)) if table)),
        Section("Batteries", "", ((powered,) if powered else ()) + _chosen(pictures, ("charge_over_time",))),
        Section("Rounds", "Bytes and energy add up from the start of the run.", (rounds_table(result),)),
        Section("Scenario", "", (parts_table(result.scenario_yaml), Listing("The resolved scenario", result.scenario_yaml))),
        *_closing([result]),
    )
    return Page("Run", result.name, run_headline(result), tiles(result), _filled(sections))


def comparison_page(results: Sequence[RunResult], pictures: Pictures) -> Page:
    """The page of several runs side by side; the first one is what the others are compared with."""
    target = common_target([result.summary.get("target_accuracy") for result in results], [result.rounds for result in results])
    differences = differences_table([result.name for result in results], [result.scenario_yaml for result in results])
    listings = tuple(Listing(f"The resolved scenario of {result.name}", result.scenario_yaml) for result in results)
    sections = (
        Section("To the target", "", (*_target_blocks(results, target), *_chosen(pictures, ("speed_up",)))),
        Section("What it costs", _FRONTS_TEXT, _chosen(pictures, ("pareto_fronts",))),
        Section("Learning", _LEARNING_TEXT, _chosen(pictures, _LEARNING)),
        Section("For whom it is good", _CLASSES_TEXT, _chosen(pictures, ("learning_by_class",))),
        Section("Where the time goes", f"{_TIME_TEXT} All runs on the same time scale.", _chosen(pictures, _TIME)),
        _waited_for(results, pictures),
        Section("Memory", "", _chosen(pictures, ("memory",))),
        Section("What differs", "The keys of the scenarios that are not the same.", (differences,) if differences else ()),
        Section("Scenarios", "", listings),
        *_closing(results),
    )
    names = ", ".join(result.name for result in results)
    return Page(f"{len(results)} runs side by side", names, comparison_headline(results, target), (), _filled(sections))


def sweep_page(sweep: SweepResult, runs: Sequence[RunResult], pictures: Pictures) -> Page:
    """The page of a sweep; `runs` are those of its finished cells."""
    cells = combinations(sweep)
    states = tuple(
        Tile(status, count(sum(cell.status == status for cell in cells)), "combinations") for status in ("done", "infeasible", "failed")
    )
    head = (*states, Tile("seeds", count(len(sweep.seeds)), "per combination"), Tile("target", percent(sweep.target_accuracy), "accuracy"))
    axes = Table(("axis", "values"), tuple((axis, _values_of(values)) for axis, values in sweep.axes.items()), text_columns=2)
    paired = paired_table(sweep) if tried_all(sweep) else None
    seeds_text = "Means over the seeds and their 95 % confidence intervals (Student t)."
    sections = (
        *_search_sections(sweep, pictures),
        Section("What is best where", "", _chosen(pictures, ("sweep_best_choice",))),
        Section("Map", seeds_text, _chosen(pictures, ("sweep_heat_map",))),
        Section("What a choice is worth", _PAIRED_TEXT, (*_chosen(pictures, ("sweep_paired",)), *((paired,) if paired else ()))),
        Section("Effect", "", _chosen(pictures, ("sweep_effect",))),
        Section("Curves", "", _chosen(pictures, ("sweep_curves",))),
        Section("What it costs", _FRONTS_TEXT, _chosen(pictures, ("sweep_pareto_fronts",))),
        Section("Cells", seeds_text, (learnt_table(sweep), spent_table(sweep))),
        Section("Scenario", "", (axes, parts_table(sweep.scenario_yaml), Listing("The scenario", sweep.scenario_yaml))),
        *_closing(runs, sweep.search.citations if sweep.search else ()),
    )
    if sweep.search is not None:
        return Page("Search", sweep.name, search_headline(sweep, sweep.search), head, _filled(sections))
    return Page("Sweep", sweep.name, sweep_headline(sweep), head, _filled(sections))


def _search_sections(sweep: SweepResult, pictures: Pictures) -> tuple[Section, ...]:
    if sweep.search is None:
        return ()
    blocks: tuple[Block, ...] = (*_chosen(pictures, ("search_front", "search_progress")), search_table(sweep, sweep.search))
    return (Section("What was found", _SEARCH_TEXT, blocks),)


def _values_of(values: Sequence[str]) -> str:
    """The values of an axis in a row; of a long one, its ends."""
    if len(values) > _MOST_VALUES:
        return f"{value_label(values[0])} … {value_label(values[-1])} ({len(values)} values)"
    return " · ".join(map(value_label, values))


def _waited_for(results: Sequence[RunResult], pictures: Pictures) -> Section:
    table = attribution_table(results)
    blocks: tuple[Block, ...] = (*_chosen(pictures, ("critical_path",)), *((table,) if table else ()))
    return Section(
        "What it waited for", attribution_sentence(results), (*blocks, *_chosen(pictures, ("chosen_delays", "staleness_and_waste")))
    )


def _target_blocks(results: Sequence[RunResult], target: Target | None) -> tuple[Block, ...]:
    compared = () if target is None else (comparison_table(results, target),)
    return (*compared, totals_table(results))


def _closing(results: Sequence[RunResult], more: Sequence[Citation] = ()) -> tuple[Section, ...]:
    notes = tuple(dict.fromkeys(note for result in results for note in result.notes))
    return (
        Section("Notes", "", (Sentences(notes),) if notes else ()),
        Section("Made with", "Host times are in run.json; nothing here depends on them.", _provenance(results)),
        Section("Please cite", "", citation_blocks(results, more)),
    )


def _provenance(results: Sequence[RunResult]) -> tuple[Block, ...]:
    """Seeds and versions: what the numbers depend on, and nothing of the host, so that the page is the same everywhere."""
    rows: dict[tuple[str, str], None] = {}
    for result in results:
        versions = result.provenance.get("versions", {})
        seeds = {"seed": result.provenance["seed"]} if "seed" in result.provenance else {}
        rows |= {(str(name), str(value)): None for name, value in (seeds | versions).items()}
    return (Table(("what", "value"), tuple(rows), text_columns=2),) if rows else ()


def _chosen(pictures: Pictures, names: Sequence[str]) -> tuple[Picture, ...]:
    return tuple(pictures[name] for name in names if name in pictures)


def _filled(sections: Sequence[Section]) -> tuple[Section, ...]:
    return tuple(section for section in sections if section.blocks)
