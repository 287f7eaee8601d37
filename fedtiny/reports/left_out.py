"""The sentences about device classes that could not train what the scenario asks for, because it does not fit their memory."""

from collections.abc import Sequence

from fedtiny.reports.description import scenario_of
from fedtiny.reports.wording import in_words, listed, plural
from fedtiny.results.metrics import device_classes
from fedtiny.results.record import RunResult


def left_out_sentence(result: RunResult) -> str:
    """Which classes of a run could not train its update, and what they did instead; empty if all could."""
    classes = device_classes(result.devices)
    unable = {entry.group: entry.label for entry in classes if _could_not(result, entry.group)}
    if not unable:
        return ""
    statuses = result.devices["status"].to_pylist()
    did = {"excluded": "took no part", "downgraded": "trained less"}
    outcomes = [f"{plural(statuses.count(status), 'device')} {what}" for status, what in did.items() if status in statuses]
    return f"{_share(result, len(unable), len(classes))}: {listed(list(unable.values()))} ({listed(outcomes)})."


def left_out_sentences(results: Sequence[RunResult]) -> tuple[str, ...]:
    """The same for runs side by side, one sentence for each thing that could not be trained; of what all could train, none."""
    names: dict[str, list[str]] = {}
    for result in results:
        classes = device_classes(result.devices)
        if unable := sum(_could_not(result, entry.group) for entry in classes):
            names.setdefault(_share(result, unable, len(classes)), []).append(result.name)
    everywhere = len(names) == 1 and len(next(iter(names.values()))) == len(results)
    return tuple(f"{sentence}." if everywhere else f"{sentence} ({listed(runs)})." for sentence, runs in names.items())


def _could_not(result: RunResult, group: int) -> bool:
    """Whether every device of the class was left out, or trained a cheaper update."""
    rows = zip(result.devices["group"].to_pylist(), result.devices["status"].to_pylist(), strict=True)
    return all(status in ("excluded", "downgraded") for its_group, status in rows if its_group == group)


def _share(result: RunResult, unable: int, classes: int) -> str:
    update = scenario_of(result.scenario_yaml).get("update") or {}
    kind = update.get("kind", "full") if isinstance(update, dict) else str(update)
    noun = "class" if classes == 1 else "classes"
    return f"{in_words(unable).capitalize()} of {in_words(classes)} device {noun} could not train the {kind} update, which does not fit"
