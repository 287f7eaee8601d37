"""The sentences at the head of a report, computed from the numbers below them."""

from collections.abc import Sequence

from fedtiny.reports.quantities import count, grams, joules, number, percent, seconds, size
from fedtiny.reports.sweep_axes import value_label
from fedtiny.results.metrics import Target, accuracies, device_classes, stall_shares_by_class, time_to_target
from fedtiny.results.record import RunResult
from fedtiny.results.sweep import Combination, SweepResult, combinations


def run_headline(result: RunResult) -> tuple[str, ...]:
    """What came of one run: how it learned, what that cost, who waited, who was left out."""
    return tuple(
        sentence for sentence in (_learned(result), _target_sentence(result), _cost(result), _waited(result), _left_out(result)) if sentence
    )


def _learned(result: RunResult) -> str:
    summary = result.summary
    if not summary["rounds"]:
        return f"No round was run: this is the initial model, with an accuracy of {percent(summary['accuracy'])}."
    took = f"{_plural(summary['rounds'], 'round')} in {seconds(summary['virtual_time'])} of virtual time"
    first, last = accuracies(result.rounds)[0], summary["accuracy"]
    if last is None or first != first:
        return f"{_plural(_trained(result), 'device')} did {took}."
    moved = "rose" if last > first else "went"
    return f"Accuracy {moved} from {percent(float(first))} to {percent(last)}: {_plural(_trained(result), 'device')} trained for {took}."


def _trained(result: RunResult) -> int:
    return int(sum(rounds > 0 for rounds in result.devices["rounds"].to_pylist()))


def _target_sentence(result: RunResult) -> str:
    target = result.summary.get("target_accuracy")
    if target is None:
        return ""
    time = time_to_target(result.rounds, target)
    return (
        f"It did not reach its target of {percent(target)}."
        if time is None
        else f"It reached its target of {percent(target)} after {seconds(time)}."
    )


def _cost(result: RunResult) -> str:
    summary = result.summary
    if not summary["rounds"]:
        return ""
    emitted = f" ({grams(summary['carbon'])})" if summary.get("carbon") is not None else ""
    energy = "" if summary["energy"] is None else f" and spent {joules(summary['energy'])}{emitted}"
    return f"The fleet sent {size(summary['bytes_up'])}, received {size(summary['bytes_down'])}{energy}."


def _waited(result: RunResult) -> str:
    labels = {entry.group: entry.label for entry in device_classes(result.devices)}
    shares = {group: share for group, share in stall_shares_by_class(result.activities, result.devices).items() if share is not None}
    if not shares:
        return ""
    most = max(shares, key=lambda group: shares[group])
    if len(shares) == 1:
        return f"The devices waited {percent(shares[most])} of the time in which they took part."
    least = min(shares, key=lambda group: shares[group])
    return f"{labels[most]} waited {percent(shares[most])} of the time in which it took part, {labels[least]} {percent(shares[least])}."


def _left_out(result: RunResult) -> str:
    classes = {entry.group: entry.label for entry in device_classes(result.devices)}
    groups, statuses = result.devices["group"].to_pylist(), result.devices["status"].to_pylist()
    excluded = [group for group, status in zip(groups, statuses, strict=True) if status == "excluded"]
    if not excluded:
        return ""
    which = _listed([classes[group] for group in sorted(set(excluded))])
    return f"{_plural(len(excluded), 'device')} took no part, since training does not fit their memory ({which})."


def comparison_headline(results: Sequence[RunResult], target: Target | None) -> tuple[str, ...]:
    """Which run is first at the target, by how much, and which never get there."""
    if target is None:
        return (f"{len(results)} runs side by side; no accuracy was measured.",)
    times = {result.name: time_to_target(result.rounds, target.accuracy) for result in results}
    reached = sorted(((time, name) for name, time in times.items() if time is not None), key=lambda pair: pair[0])
    never = [name for name, time in times.items() if time is None]
    missing = (f"{_listed(never)} never {'gets' if len(never) == 1 else 'get'} there.",) if never else ()
    if not reached:
        return (f"None of the runs reaches {percent(target.accuracy)}.",)
    best_time, best = reached[0]
    rest = [
        f"{name} takes {seconds(time)} ({number(time / best_time)} times as long)" if best_time else f"{name} {seconds(time)}"
        for time, name in reached[1:]
    ]
    lead = f"{best} reaches {percent(target.accuracy)} accuracy first, after {seconds(best_time)} of virtual time"
    return (f"{lead}; {', '.join(rest)}." if rest else f"{lead}.", *missing)


def sweep_headline(sweep: SweepResult) -> tuple[str, ...]:
    """How many cells there are and how they ended, and the fastest (or most accurate) combination."""
    cells = combinations(sweep)
    states = [cell.status for cell in cells] if sweep.axes else sweep.cells["status"].to_pylist()
    words = {"done": "done", "infeasible": "not fitting the memory", "failed": "failed"}
    ended = ", ".join(f"{states.count(status)} {word}" for status, word in words.items() if status in states)
    if not sweep.axes:
        return (f"One scenario with {_plural(len(sweep.seeds), 'seed')}: {ended}.",)
    sentences = [f"{_plural(len(cells), 'combination')} of {_listed(list(sweep.axes))}, {_plural(len(sweep.seeds), 'seed')} each: {ended}."]
    return (*sentences, *_best_cell(sweep, cells))


def _best_cell(sweep: SweepResult, cells: Sequence[Combination]) -> tuple[str, ...]:
    times = [(interval.mean, cell) for cell in cells if (interval := cell.interval("time_to_target")) is not None]
    if sweep.target_accuracy is not None and times:
        mean, cell = min(times, key=lambda pair: pair[0])
        return (f"The fastest to {percent(sweep.target_accuracy)} accuracy is {_named(sweep, cell)}, after {seconds(mean)} on average.",)
    accuracies_of = [(interval.mean, cell) for cell in cells if (interval := cell.interval("accuracy")) is not None]
    if not accuracies_of:
        return ()
    mean, cell = max(accuracies_of, key=lambda pair: pair[0])
    return (f"The most accurate is {_named(sweep, cell)}, with {percent(mean)} on average.",)


def _named(sweep: SweepResult, cell: Combination) -> str:
    return ", ".join(f"{axis} {value_label(value)}" for axis, value in zip(sweep.axes, cell.values, strict=True))


def _plural(number_of: int, noun: str) -> str:
    return f"{count(number_of)} {noun}{'' if number_of == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
