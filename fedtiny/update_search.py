"""Which sparse update suits a scenario: contributions measured on its own data, then the best scheme within a memory budget.

Everything happens in one place and takes no virtual time: it is what one does before shipping. Contributions are cached with
what they depend on: the network and its start, the data, the optimizer, the seed and the analysis.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from fedtiny.costs.extra_memory import extra_memory
from fedtiny.design.contribution import Analysis, Subject, cached_contributions, measure_contributions
from fedtiny.design.scheme_search import Contributions, Found, MemoryOf, Scheme, evolve, solve
from fedtiny.enrolment import ListedParticipants
from fedtiny.errors import InfeasibleError, ScenarioError
from fedtiny.preparation import World, prepare
from fedtiny.scenario.schema import Scenario
from fedtiny.training.one_thread import one_thread
from fedtiny.updates.convolutions import main_convolutions
from fedtiny.updates.last import Last
from fedtiny.updates.plan import UpdatePlan
from fedtiny.updates.sparse import Sparse

_MOST_DRAWN: Final = 1000

Progress = Callable[[int, int], None]
"""(measurements done, measurements in all) -> None."""


@dataclass(frozen=True)
class UpdateSearch:
    """What a search found, and from what."""

    scenario: str
    model: str
    budget: int
    """Bytes of extra memory, as `costs.extra_memory` counts them."""
    contributions: Contributions
    evolved: Found
    exact: Found | None
    """None where more partial schemes would have to be kept than memory allows."""

    @property
    def update(self) -> dict[str, Any]:
        """The best scheme as the scenario's `update` says it."""
        scheme = self.best.scheme
        return {"kind": "sparse", "biases": scheme.biases, "weights": dict(scheme.weights)}

    @property
    def best(self) -> Found:
        """The exact solution, else the evolved one."""
        return self.exact or self.evolved

    def document(self) -> dict[str, Any]:
        """The search as plain JSON."""
        return {
            "scenario": self.scenario,
            "model": self.model,
            "budget": self.budget,
            "update": self.update,
            "gain": self.best.gain,
            "memory": self.best.memory,
            "evolved": asdict(self.evolved),
            "exact": None if self.exact is None else asdict(self.exact),
            "contributions": asdict(self.contributions),
        }


@one_thread()
def search_update(
    scenario: Scenario,
    budget: int,
    analysis: Analysis,
    *,
    generations: int = 60,
    allow_code: bool = False,
    progress: Progress | None = None,
) -> UpdateSearch:
    """Measures the contributions of a scenario's convolutions and finds the best sparse update within `budget` bytes.

    Raises ScenarioError where the network has no convolutions or targets are no classes, and InfeasibleError where not even the
    head fits the budget.
    """
    # whoever could not train the scenario's own update still has examples that count
    world = prepare(scenario.model_copy(update={"update": Last(), "on_out_of_memory": "exclude"}), allow_code=allow_code)
    convolutions = len(main_convolutions(world.blueprint.summary))
    if not convolutions or not world.blueprint.facts.categorical:
        raise ScenarioError(
            f"{scenario.model.kind} on {world.blueprint.facts.name} has {convolutions} convolutions in its main branch: sparse updates are "
            "about networks of convolutions that classify",
            ("model",),
        )
    subject = _subject(world, convolutions)
    found = cached_contributions(_identity(subject, scenario, analysis), lambda: measure_contributions(subject, analysis, progress))

    def memory(scheme: Scheme) -> int:
        return extra_memory(world.blueprint.summary, subject.plan_of(scheme)).bits

    bits = 8 * budget
    least = -(-memory(Scheme(0)) // 8)
    if least > budget:
        raise InfeasibleError(
            f"the classifier alone takes {least} B of extra memory and the budget is {budget} B: raise --budget, or take a smaller model",
            ("model",),
        )
    evolved = evolve(found, memory, bits, world.blueprint.streams.numpy("scheme search"), generations=generations)
    return UpdateSearch(scenario.name, scenario.model.kind, budget, found, _in_bytes(evolved), _exact(found, memory, bits))


def _exact(contributions: Contributions, memory: MemoryOf, bits: int) -> Found | None:
    try:
        return _in_bytes(solve(contributions, memory, bits))
    except ValueError:
        return None


def _in_bytes(found: Found) -> Found:
    return Found(found.scheme, found.gain, -(-found.memory // 8), found.history)


def _subject(world: World, convolutions: int) -> Subject:
    plans = world.blueprint

    def plan_of(scheme: Scheme) -> UpdatePlan:
        return Sparse(biases=scheme.biases, weights=dict(scheme.weights)).plan(plans.summary)

    # those of a population draw from the same examples, and a thousand of them have drawn enough
    devices = world.participants if isinstance(world.participants, ListedParticipants) else world.participants[:_MOST_DRAWN]
    members = np.sort(np.concatenate([participant.batches.indices for participant in devices]))
    wanted = plans.scenario.training.batch_size
    return Subject(
        network=plans.network,
        summary=plans.summary,
        convolutions=convolutions,
        plan_of=plan_of,
        examples=world.train,
        members=members,
        optimizer=plans.scenario.training.optimizer,
        batch_size=len(members) if wanted == "all" else wanted,
        streams=plans.streams,
    )


def _identity(subject: Subject, scenario: Scenario, analysis: Analysis) -> dict[str, Any]:
    """What contributions depend on, by content: files may change while their names stay."""
    digest = hashlib.sha256()
    tensors = [*subject.network.state_dict().values(), subject.examples.inputs, subject.examples.targets]
    for array in (*(tensor.numpy(force=True) for tensor in tensors), subject.members):
        digest.update(f"{array.dtype.str}{array.shape};".encode() + np.ascontiguousarray(array).tobytes())
    return {
        "model": scenario.model.to_plain(),
        "training": scenario.training.to_plain(),
        "seed": scenario.seed,
        "analysis": analysis.to_plain(),
        "content": digest.hexdigest(),
    }
