"""The page of a design: what was searched, what was found, and what it will need of each device."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fedtiny.reports.blocks import Block, Listing, Page, Picture, Section, Table, Tile
from fedtiny.reports.citations import citation_blocks
from fedtiny.reports.quantities import joules, number, percent, seconds, size

_SPACES_TEXT: Final = "Networks drawn from each space, and the mean work of those that fit. The space whose networks work most is searched."
_SEARCH_TEXT: Final = "Networks of the chosen space, on public examples that its weights did not learn from. All of them fit every device."
_STAGES_TEXT: Final = "What the network tells right of the test set, which took no part in any choice."
_DEVICES_TEXT: Final = (
    "A step of training and an inference, by the scenario's ledger and the devices' profiles; the scenario's own model beside it."
)
_FRONT: Final = 20


def design_page(document: Mapping[str, Any], pictures: Mapping[str, Picture]) -> Page:
    """The page of a design's document."""
    sections = (
        Section("What was searched", _SEARCH_TEXT, tuple(pictures.values())),
        Section("The front", "Networks that no other beats in accuracy, work and all needs together.", (_front_table(document),)),
        Section("The choice of the space", _SPACES_TEXT, (_spaces_table(document),)),
        Section("The network", "", (_network_table(document),)),
        Section("Accuracy, stage by stage", _STAGES_TEXT, (_stages_table(document),)),
        Section("What each device will need", _DEVICES_TEXT, (_devices_table(document), _items_table(document))),
        Section("Scenario", "", (Listing("The scenario of the design", document["scenario"]),)),
        Section("Please cite", "", citation_blocks((), document["citations"])),
    )
    return Page("Design", document["name"], _headline(document), _tiles(document), sections)


def _headline(document: Mapping[str, Any]) -> tuple[str, ...]:
    spaces, last = document["spaces"], document["stages"][-1]
    drawn, fit = (sum(space[key] for space in spaces) for key in ("drawn", "feasible"))
    tight = ", ".join(f"{one['device']} ({size(one['found']['training_memory'])} of {size(one['memory'])})" for one in document["devices"])
    return (
        f"Of {drawn} networks drawn from {len(spaces)} spaces {fit} fit the devices; {len(document['evaluated'])} of the space chosen were "
        f"evaluated. The one taken trains on {tight} and tells {percent(last['accuracy'])} of the test set right.",
    )


def _tiles(document: Mapping[str, Any]) -> tuple[Tile, ...]:
    found = document["evaluated"][document["found"]]
    return (
        Tile("accuracy", percent(document["stages"][-1]["accuracy"]), f"test set, {document['stages'][-1]['name']}"),
        Tile("parameters", number(found["parameters"])),
        Tile("MACs", number(found["macs"]), "of an inference"),
        Tile("images", f"{document['network']['resolution']} pixels", "a side"),
    )


def _spaces_table(document: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            f"{space['width']:g}",
            str(space["resolution"]),
            str(space["drawn"]),
            str(space["feasible"]),
            number(space["mean_macs"]),
            "searched" if space["chosen"] else "left out: nothing fits" if not space["feasible"] else "",
        )
        for space in document["spaces"]
    )
    return Table(("width", "resolution", "drawn", "fit", "mean MACs of those", ""), rows)


def _front_table(document: Mapping[str, Any]) -> Table:
    best = sorted((one for one in document["evaluated"] if one["front"]), key=lambda one: -float(one["score"]))
    names = [bound["name"] for bound in document["bounds"]]
    units = {bound["name"]: bound["unit"] for bound in document["bounds"]}
    rows = tuple(
        (
            percent(one["score"]),
            number(one["macs"]),
            number(one["parameters"]),
            *(_amount(one["needs"][name], units[name]) for name in names),
        )
        for one in best[:_FRONT]
    )
    limits = ", ".join(f"{bound['name']} at most {_amount(bound['most'], bound['unit'])}" for bound in document["bounds"])
    more = f" The best {_FRONT} of {len(best)}." if len(best) > _FRONT else ""
    return Table(("validation accuracy", "MACs", "parameters", *names), rows, f"Bounds: {limits}.{more}")


def _network_table(document: Mapping[str, Any]) -> Table:
    stages: Sequence[Sequence[Sequence[int]]] = document["network"]["stages"]
    rows = tuple(
        (
            f"stage {place}",
            str(len(stage)),
            ", ".join(str(kernel) for kernel, _ in stage),
            ", ".join(str(expansion) for _, expansion in stage),
        )
        for place, stage in enumerate(stages, start=1)
    )
    return Table(("", "blocks", "kernels", "expansions"), rows, f"Number {document['network']['number']} of its space.")


def _stages_table(document: Mapping[str, Any]) -> Table:
    rows = tuple((stage["name"], stage["note"], percent(stage["accuracy"])) for stage in document["stages"])
    return Table(("stage", "what was done", "test accuracy"), rows, text_columns=2)


def _devices_table(document: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = []
    for one in document["devices"]:
        for name, needs in (("found", one["found"]), (f"own: {document['model']}", one["own_model"])):
            fits = "fits" if needs["training_memory"] <= one["memory"] else "does not fit"
            memory = (size(needs["training_memory"]), size(one["memory"]), fits)
            times = (seconds(needs["step_seconds"]), seconds(needs["inference_seconds"]), joules(needs["step_energy"]))
            rows.append((one["device"], name, needs["update"], *memory, *times))
    columns = ("device", "network", "update", "training memory", "offered", "", "a step", "an inference", "energy of a step")
    return Table(columns, tuple(rows), f"Batches of {document['batch_size']}, accounting {document['accounting']}.", text_columns=3)


def _items_table(document: Mapping[str, Any]) -> Block:
    items = list(dict.fromkeys(item for one in document["devices"] for item in one["found"]["items"]))
    rows = tuple((one["device"], *(size(one["found"]["items"].get(item, 0)) for item in items)) for one in document["devices"])
    return Table(
        ("device", *(item.replace("_", " ") for item in items)), rows, "What is in memory at the peak of a step of the network found."
    )


def _amount(value: float, unit: str) -> str:
    return {"B": size, "s": seconds, "J": joules}[unit](value)


def design_rows(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """One row of texts for each device and network, for a screen."""
    table = _devices_table(document)
    columns = [column or "verdict" for column in table.columns]
    return [dict(zip(columns, row, strict=True)) for row in table.rows]
