"""The sentences at the head of a report, computed from the numbers below them."""

from collections.abc import Sequence

from fedtiny.reports.left_out import left_out_sentence, left_out_sentences
from fedtiny.reports.quantities import grams, joules, percent, seconds, size
from fedtiny.reports.wording import listed, plural, sooner
from fedtiny.results.metrics import Target, accuracies, device_classes, stall_shares_by_class, time_to_target
from fedtiny.results.record import RunResult


def run_headline(result: RunResult) -> tuple[str, ...]:
    """What came of one run: how it learned, what that cost, who waited, who was left out."""
    return tuple(
        sentence
        for sentence in (_learned(result), _target_sentence(result), _cost(result), _waited(result), left_out_sentence(result))
        if sentence
    )


def _learned(result: RunResult) -> str:
    summary = result.summary
    if not summary["rounds"]:
        return f"No round was run: this is the initial model, with an accuracy of {percent(summary['accuracy'])}."
    took = f"{plural(summary['rounds'], 'round')} in {seconds(summary['virtual_time'])} of virtual time"
    first, last = accuracies(result.rounds)[0], summary["accuracy"]
    if last is None or first != first:
        return f"{plural(_trained(result), 'device')} did {took}."
    moved = "rose" if last > first else "went"
    return f"Accuracy {moved} from {percent(float(first))} to {percent(last)}: {plural(_trained(result), 'device')} trained for {took}."


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


def comparison_headline(results: Sequence[RunResult], target: Target | None) -> tuple[str, ...]:
    """Which run is first at the target, by how much, and which never get there."""
    if target is None:
        return (f"{len(results)} runs side by side; no accuracy was measured.",)
    times = {result.name: time_to_target(result.rounds, target.accuracy) for result in results}
    reached = sorted(((time, name) for name, time in times.items() if time is not None), key=lambda pair: pair[0])
    never = [name for name, time in times.items() if time is None]
    missing = (f"{listed(never)} never {'gets' if len(never) == 1 else 'get'} there.",) if never else ()
    if not reached:
        return (f"None of the runs reaches {percent(target.accuracy)}.",)
    best_time, best = reached[0]
    rest = [f"{sooner(time / best_time, name)} ({seconds(time)})" for time, name in reached[1:]] if best_time else []
    lead = f"{best} reached {percent(target.accuracy)} accuracy after {seconds(best_time)} of virtual time"
    return (f"{lead}, {listed(rest)}." if rest else f"{lead}.", *missing, *left_out_sentences(results))
