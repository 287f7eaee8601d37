"""What this run's configuration says."""

from pathlib import Path
from typing import Any

import yaml
from flwr.app import UserConfig

import fedtiny

STRATEGIES = ("fedavg", "dga")


def scenario_of(run_config: UserConfig) -> fedtiny.Scenario:
    """The scenario that the app carries, with the backbone's file, FedAvg or DGA, and what `flwr run -c` says otherwise.

    Raises FileNotFoundError where the backbone is not on this node, and ValueError for a strategy that is none of the app's.
    """
    file = Path(__file__).parents[1] / str(run_config["scenario"])
    own = {"model.pretrained": backbone_of(run_config), "strategy": strategy_of(run_config)}
    scenario = fedtiny.load_scenario(file, own | yaml.safe_load(str(run_config["overrides"])))
    assert isinstance(scenario, fedtiny.Scenario)
    return scenario


def backbone_of(run_config: UserConfig) -> str:
    """The file of the pre-trained network. What is frozen does not travel, so every node has it."""
    backbone = str(run_config["backbone"])
    if not Path(backbone).is_file():
        raise FileNotFoundError(
            f"backbone={backbone!r} is no file of this node: make it with `fedtiny pretrain scenario.yaml --out FILE`, put it at the same "
            "place on every node, and say flwr run -c \"backbone='/that/FILE'\""
        )
    return str(Path(backbone).absolute())


def strategy_of(run_config: UserConfig) -> dict[str, Any]:
    """FedAvg or DGA, over both nodes."""
    strategy = run_config["strategy"]
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r}; it is one of {', '.join(STRATEGIES)}")
    # sent early, a round of DGA is one message: each message costs a SuperNode the start of a process
    dga = {"delay": run_config["delay"], "send": "early"} if strategy == "dga" else {}
    return {"kind": strategy, "min_available_nodes": 2, **dga}
