"""From a scenario to a folder for real nodes."""

import secrets
import shutil
from pathlib import Path, PurePosixPath
from typing import Final

import yaml

from fedtiny.deployment.files import Deployment, deployment_files, superlink_address
from fedtiny.deployment.nodes import check_deployable, node_classes, outside_files
from fedtiny.deployment.overlapping.run_ahead import with_messages_for
from fedtiny.errors import FolderError
from fedtiny.preparation import prepare
from fedtiny.scenario.files import resolved_yaml
from fedtiny.scenario.schema import Scenario

MARKER: Final = ".fedtiny-deployment"
"""A file in every folder that was written here, and may be replaced."""


def deployment_of(
    scenario: Scenario, superlink: str, *, secure: bool, home: PurePosixPath, user: str, run_ahead: int | None = None
) -> Deployment:
    """What a scenario needs of real nodes. `superlink` is HOST:PORT.

    The server waits until all nodes are there, as all devices are at virtual time 0. Raises ScenarioError where real nodes cannot do
    what the scenario says, and InfeasibleError where training fits nobody.
    """
    host, port = superlink_address(superlink)
    check_deployable(scenario)
    if run_ahead is not None:
        with_messages_for(scenario, run_ahead)
    world = prepare(scenario)
    classes = node_classes(world.participants)
    everybody = max(scenario.strategy.min_available_nodes, sum(len(one.numbers) for one in classes))
    waiting = scenario.model_copy(update={"strategy": scenario.strategy.model_copy(update={"min_available_nodes": everybody})})
    return Deployment(
        name=scenario.name,
        scenario=resolved_yaml(waiting),
        devices=len(world.participants),
        classes=classes,
        host=host,
        port=port,
        secure=secure,
        home=home,
        user=user,
        run_ahead=run_ahead,
        files=outside_files(scenario),
    )


def write_deployment(deployment: Deployment, folder: Path) -> list[Path]:
    """Writes the folder whole or not at all and gives its files. Replaces only what was written here, keys excepted, which are kept.

    Raises FolderError where something else is in the way, or it cannot be written.
    """
    target = folder.resolve()
    if target.exists() and not (target / MARKER).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise FolderError(f"{folder} holds something else: name a new folder with --out")
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    files = deployment_files(deployment)
    try:
        for name, text in {**files, MARKER: f"{yaml.safe_dump({'scenario': deployment.name})}"}.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755 if name.endswith(".sh") else 0o644)
        _swap(fresh, target)
    except OSError as error:
        raise FolderError(f"{folder} cannot be written: {error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return [folder / name for name in files]


def _swap(fresh: Path, target: Path) -> None:
    if not target.exists():
        fresh.rename(target)
        return
    for kept in ("certificates", "keys"):
        if (target / kept).is_dir():
            shutil.copytree(target / kept, fresh / kept)
    old = fresh.with_suffix(".old")
    target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old)
