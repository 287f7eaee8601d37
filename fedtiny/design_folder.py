"""What a design leaves: its folder, each file whole or not at all.

checkpoint/       the network: `model: {kind: checkpoint, path: checkpoint}`
scenario.yaml     the scenario with that network in it, ready to run
design.json       what was searched, the front, the stages, what each device will need
report.html       the same to look at, with its figures beside it
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from fedtiny.models.base import Pretraining
from fedtiny.models.checkpoint import Checkpoint, PublicShare
from fedtiny.models.checkpoint_folder import checkpoint_digest, write_checkpoint
from fedtiny.models.elastic_space import SubNetwork, encode
from fedtiny.network_bounds import DeviceNeeds, ledger_items
from fedtiny.network_design import FoundNetwork
from fedtiny.reports.page import write_design_report
from fedtiny.results.design import DESIGN_FILE
from fedtiny.results.files import json_text, replace_file
from fedtiny.results.pareto_front import on_front
from fedtiny.results.record import Citation
from fedtiny.scenario.citations import citations_of, work
from fedtiny.scenario.files import resolved_yaml
from fedtiny.scenario.schema import Scenario

CHECKPOINT: Final = "checkpoint"
SCENARIO: Final = "scenario.yaml"


def write_design(found: FoundNetwork, folder: Path) -> Path:
    """Writes the folder of a design; the path of its report."""
    write_checkpoint(folder / CHECKPOINT, found.network, found.input_shape)
    following = following_scenario(found, CHECKPOINT, checkpoint_digest(folder / CHECKPOINT))
    replace_file(folder / SCENARIO, resolved_yaml(following).encode())
    replace_file(folder / DESIGN_FILE, json_text(document(found)).encode())
    return write_design_report(folder)


def following_scenario(found: FoundNetwork, path: str, sha256: str) -> Scenario:
    """The scenario with the network found, from a checkpoint; no client holds the examples that it was made from."""
    scenario = found.plans.scenario
    recipe = scenario.model.pretrained
    assert isinstance(recipe, Pretraining), "design asks for it"
    model = Checkpoint(path=path, sha256=sha256, public=PublicShare(share=recipe.share, seed=scenario.seed))
    data = scenario.data.model_copy(update={"image_size": found.choice.resolution})
    return scenario.model_copy(update={"model": model, "data": data, "design": None})


def document(found: FoundNetwork) -> dict[str, Any]:
    """The design as plain JSON."""
    scenario, best = found.plans.scenario, found.searched.best
    evaluated = found.searched.evaluated
    places = {one.network: place for place, one in enumerate(evaluated)}
    front = on_front(np.array([[-one.score, one.costs.macs, *one.costs.needs.values()] for one in evaluated], dtype=np.float64))
    return {
        "name": scenario.name,
        "seed": scenario.seed,
        "model": scenario.model.kind,
        "accounting": scenario.accounting,
        "batch_size": scenario.training.batch_size,
        "citations": citations(scenario),
        "spaces": [{**asdict(sample), "chosen": place == found.chosen} for place, sample in enumerate(found.samples)],
        "bounds": [{"name": bound.name, "most": bound.most, "unit": bound.unit} for bound in found.constraints.bounds],
        "evaluated": [
            {
                "score": one.score,
                "macs": one.costs.macs,
                "parameters": one.costs.parameters,
                "needs": dict(one.costs.needs),
                "front": best_of,
            }
            for one, best_of in zip(evaluated, front, strict=True)
        ],
        "generations": [[places[one.network] for one in people] for people in found.searched.generations],
        "found": places[best.network],
        "network": {**network_document(found.choice), "number": str(encode(found.constraints.space, found.choice))},
        "stages": [asdict(stage) for stage in found.stages],
        "devices": [_device(own, other) for own, other in zip(found.needs, found.own_needs, strict=True)],
        "scenario": resolved_yaml(scenario),
    }


def network_document(choice: SubNetwork) -> dict[str, Any]:
    """A network of a space as plain JSON."""
    return {"resolution": choice.resolution, "stages": [[list(setting) for setting in stage] for stage in choice.stages]}


def citations(scenario: Scenario) -> list[Citation]:
    """The works that a design stands on."""
    own = [work("lin2020mcunet", "choice of the search space, evolution"), work("cai2020ofa", "weight-shared supernet")]
    return [*own, *citations_of(scenario)]


def _device(needs: DeviceNeeds, other: DeviceNeeds) -> dict[str, Any]:
    return {"device": needs.name, "memory": float(needs.device.memory), "found": _amounts(needs), "own_model": _amounts(other)}


def _amounts(needs: DeviceNeeds) -> Mapping[str, Any]:
    return {
        "update": needs.update,
        "training_memory": needs.ledger.total_bytes,
        "items": ledger_items(needs.ledger),
        "step_seconds": needs.step_seconds,
        "inference_seconds": needs.inference_seconds,
        "step_energy": needs.step_energy,
    }
