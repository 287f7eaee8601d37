"""The sentences at the head of a search's report: what is best, what was searched for and how, and how its trials ended."""

from collections.abc import Sequence
from typing import Final

from fedtiny.reports.quantities import count, percent
from fedtiny.reports.search_trials import Trial, trials, written
from fedtiny.reports.sweep_axes import named
from fedtiny.reports.wording import in_words, listed, plural
from fedtiny.results.objectives import Objective
from fedtiny.results.search import Search
from fedtiny.results.sweep import SweepResult

_ENDINGS: Final = {
    "does not fit": "not fitting the memory",
    "never there": "never reaching the target",
    "not known": "without a value that is known",
    "failed": "failed",
    "under way": "under way",
}


def search_headline(sweep: SweepResult, search: Search) -> tuple[str, ...]:
    """The best trial, or the front; what was searched; who proposed the trials."""
    found = trials(sweep)
    best = _best(sweep, search.wanted[0], found) if len(search.objectives) == 1 else _front(sweep, search.wanted, found)
    left = search.combinations - len(found)
    rest = "so there is no better one" if not left else f"of {count(search.combinations)}: others may be better"
    seeds = f" with {plural(len(sweep.seeds), 'seed')} each" if len(sweep.seeds) > 1 else ""
    ended = [f"{in_words(number)} {_ENDINGS[ending]}" for ending in _ENDINGS if (number := sum(one.ending == ending for one in found))]
    tried = f"{'All ' if not left else ''}{plural(len(found), 'combination')} of {listed(list(sweep.axes))} tried{seeds}, {rest}"
    how = f"Trials were proposed by a {search.sampler} ({search.library}, seed {search.seed}), {search.batch} at a time."
    return (*best, f"{tried}{f' ({listed(ended)})' if ended else ''}. {how}")


def _goal(sweep: SweepResult, objective: Objective) -> str:
    target = f" of {percent(sweep.target_accuracy)}" if objective.of_target and sweep.target_accuracy is not None else ""
    return f"{'highest' if objective.direction == 'maximize' else 'lowest'} {objective.label}{target}"


def _best(sweep: SweepResult, objective: Objective, found: Sequence[Trial]) -> tuple[str, ...]:
    best = [one for one in found if one.on_front]
    if not best:
        return (f"No trial has a value of {objective.label}.",)
    alike = f", and {in_words(len(best) - 1)} more as good" if len(best) > 1 else ""
    value = written(objective, best[0].values[0])
    return (f"The {_goal(sweep, objective)} is {value}: {_named(sweep, best[0])} (trial {best[0].number}{alike}).",)


def _front(sweep: SweepResult, objectives: Sequence[Objective], found: Sequence[Trial]) -> tuple[str, ...]:
    best = [one for one in found if one.on_front]
    names = listed([one.label for one in objectives])
    if not best:
        return (f"No trial has values of {names}.",)
    number = f"{in_words(len(best))} of {plural(len(found), 'trial')} {'is' if len(best) == 1 else 'are'}"
    front = f"{number} on the Pareto front of {names}: no other is as good in all of them and better in one."
    return (front[0].upper() + front[1:], *(_end(sweep, objectives, place, best) for place in range(len(objectives))))


def _end(sweep: SweepResult, objectives: Sequence[Objective], place: int, best: Sequence[Trial]) -> str:
    """The trial that is best in one objective, and what it has of the others."""
    trial = min(best, key=lambda one: objectives[place].loss(one.values[place] or 0.0))  # on the front all have values
    others = [f"{written(goal, trial.values[other])} {goal.label}" for other, goal in enumerate(objectives) if other != place]
    value = written(objectives[place], trial.values[place])
    return f"The {_goal(sweep, objectives[place])} is {value}, with {listed(others)}: {_named(sweep, trial)} (trial {trial.number})."


def _named(sweep: SweepResult, trial: Trial) -> str:
    return ", ".join(named(axis, value) for axis, value in zip(sweep.axes, trial.combination.values, strict=True))
