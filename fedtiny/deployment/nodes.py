"""Which real nodes a scenario wants: every device on which training fits, in classes of equal devices."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from fedtiny.enrolment import Participants
from fedtiny.errors import ScenarioError
from fedtiny.fleet.population import Population
from fedtiny.participation import Participant
from fedtiny.scenario.schema import Scenario

MOST_NODES: Final = 10_000
"""More SuperNodes than anybody starts from unit files."""


@dataclass(frozen=True)
class NodeClass:
    """Devices of one fleet entry that train the same."""

    label: str
    """Fit for a file's name; no two classes of a deployment have the same."""
    device: str
    numbers: tuple[int, ...]
    """Their partition ids, ascending."""
    trains: str
    memory: int
    """Training memory in the scenario's accounting, bytes: a model."""
    budget: int

    @property
    def ranges(self) -> str:
        """The partition ids in few words, such as 0-3, 7."""
        pairs = groupby(enumerate(self.numbers), lambda item: item[1] - item[0])
        stretches = [[number for _, number in stretch] for _, stretch in pairs]
        return ", ".join(str(one[0]) if len(one) == 1 else f"{one[0]}-{one[-1]}" for one in stretches)


def check_deployable(scenario: Scenario) -> None:
    """Raises ScenarioError where no real federation can do what the scenario says."""
    if isinstance(scenario.fleet, Population):
        raise ScenarioError("a population is drawn anew for every seed: state the devices that you have as fleet entries", ("fleet",))
    if scenario.learning == "none":
        raise ScenarioError("learning: none trains nothing that could be deployed: leave it out", ("learning",))
    if scenario.stop.virtual_time is not None:
        raise ScenarioError("a real federation has no virtual time to stop at: use rounds or target_accuracy", ("stop", "virtual_time"))
    if scenario.model.kind == "python":
        raise ScenarioError(
            "a network of Python code is not packed into an app: write one as clients/dga-digits is, with your file in it",
            ("model",),
        )


def node_classes(participants: Participants) -> tuple[NodeClass, ...]:
    """The classes of all devices that take part, in the order of the fleet. Raises ScenarioError where they are too many."""
    included = participants.included
    if len(included) > MOST_NODES:
        raise ScenarioError(f"{len(included)} devices would each need a SuperNode: at most {MOST_NODES} are deployed", ("fleet",))
    alike: dict[tuple[int, str], list[Participant]] = {}
    for one in included:
        alike.setdefault((one.traits.group, one.plan.scheme), []).append(one)
    made: list[NodeClass] = []
    for (group, trains), devices in alike.items():
        made.append(_class_of(group, trains, devices, {one.label for one in made}))
    return tuple(made)


def outside_files(scenario: Scenario) -> tuple[str, ...]:
    """The files and folders that a scenario names, which must lie at the same place on every node; their names are absolute."""
    return tuple(sorted({text for text in _texts(scenario.model_dump(mode="json")) if text.startswith("/") and Path(text).exists()}))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _texts(below)


def _class_of(group: int, trains: str, devices: Sequence[Participant], taken: set[str]) -> NodeClass:
    traits = devices[0].traits
    label = re.sub(r"[^A-Za-z0-9_.-]", "_", traits.group_name)
    largest = max(devices, key=lambda one: one.ledger.total_bytes)
    return NodeClass(
        label=label if label not in taken else f"{label}.{group}.{trains}",
        device=traits.device.name,
        numbers=tuple(one.traits.number for one in devices),
        trains=trains,
        memory=largest.ledger.total_bytes,
        budget=int(traits.device.memory),
    )
