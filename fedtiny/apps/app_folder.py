"""The folder of a Flower app: its two components and its configuration, as `flwr run` reads them.

`[tool.flwr.app.components]` names `serverapp` and `clientapp` as module:attribute, `[tool.flwr.app.config]` holds the run configuration,
whose tables are joined by dots. What `--run-config` says has the form of `flwr run -c`: pairs KEY=VALUE, values as in TOML, or the name of
a TOML file; only keys that the configuration has can be overridden (Flower 1.41, flwr/common/config.py).
"""

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fedtiny.errors import AppError
from fedtiny.scenario.allowed import nearest

Value = bool | int | float | str
_COMPONENTS: Final = ("serverapp", "clientapp")
_PAIR: Final = re.compile(r"(\S+?)=('[^']*'|\"[^\"]*\"|\S+)")


@dataclass(frozen=True)
class AppFolder:
    """What an app's pyproject.toml says."""

    path: Path
    name: str
    serverapp: str
    clientapp: str
    config: dict[str, Value]


def read_app_folder(path: str | Path) -> AppFolder:
    """What the folder of an app says of it; raises AppError where it is none."""
    folder = Path(path).expanduser().resolve()
    file = folder / "pyproject.toml"
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AppError(f"{folder} is not the folder of a Flower app, it has no pyproject.toml: `flwr new` makes one") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AppError(f"{file} cannot be read: {error}") from None
    app = said.get("tool", {}).get("flwr", {}).get("app", {})
    components = app.get("components", {})
    missing = [key for key in _COMPONENTS if not isinstance(components.get(key), str)]
    if missing:
        raise AppError(f"{file} lacks {', '.join(missing)} under [tool.flwr.app.components], such as serverapp = 'my_app.server_app:app'")
    name = str(said.get("project", {}).get("name", folder.name))
    return AppFolder(folder, name, components["serverapp"], components["clientapp"], _flat(app.get("config", {}), str(file)))


def run_config_of(folder: AppFolder, given: Sequence[str]) -> dict[str, Value]:
    """The app's configuration with what --run-config says in its place; raises AppError for what cannot be overridden or read."""
    overrides: dict[str, Value] = {}
    for text in given:
        overrides |= _from_file(text) if text.endswith(".toml") else _pairs(text)
    unknown = [key for key in overrides if key not in folder.config]
    if unknown:
        allowed = f"{nearest(unknown[0], folder.config)}keys there: {', '.join(folder.config) or 'none'}"
        raise AppError(f"--run-config: {unknown[0]!r} is not in the app's [tool.flwr.app.config]: {allowed}")
    return {**folder.config, **overrides}


@contextmanager
def loaded_app(folder: AppFolder) -> Iterator[tuple[ServerApp, ClientApp]]:
    """The two components, loaded: this executes the app's code. What the app imported from its own folder is forgotten afterwards, so that
    another app may have modules of the same names. Raises AppError where they cannot be loaded."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder.path))
    importlib.invalidate_caches()
    try:
        server, client = _component(folder, folder.serverapp), _component(folder, folder.clientapp)
        if not isinstance(server, ServerApp):
            raise AppError(f"{folder.serverapp} of {folder.path} is no ServerApp but a {type(server).__name__}")
        if not isinstance(client, ClientApp):
            raise AppError(f"{folder.clientapp} of {folder.path} is no ClientApp but a {type(client).__name__}")
        yield server, client
    finally:
        sys.path.remove(str(folder.path))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder.path):
                del sys.modules[name]


def _component(folder: AppFolder, reference: str) -> Any:
    module, colon, attributes = reference.partition(":")
    if not (colon and module and attributes):
        raise AppError(f"{reference!r} of {folder.path / 'pyproject.toml'} is no component: expected module:attribute")
    try:
        found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except Exception as error:
        raise AppError(f"{reference} of {folder.path} cannot be loaded: {type(error).__name__}: {error}") from error
    return found


def _pairs(text: str) -> dict[str, Value]:
    pairs = _PAIR.findall(text)
    if not pairs:
        raise AppError(f"--run-config {text!r}: expected KEY=VALUE pairs, such as --run-config 'num-rounds=3 lr=0.1 name=\"mine\"'")
    try:
        return _flat(tomllib.loads("\n".join(f"{key} = {value}" for key, value in pairs)), "--run-config")
    except tomllib.TOMLDecodeError as error:
        raise AppError(
            f"--run-config {text!r}: {error}; values are as in TOML: numbers, true, false, and texts in quotes, such as name='\"mine\"'"
        ) from None


def _from_file(text: str) -> dict[str, Value]:
    try:
        return _flat(tomllib.loads(Path(text).expanduser().read_text(encoding="utf-8")), text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AppError(f"--run-config {text}: the file cannot be read: {error}") from None


def _flat(tables: Mapping[str, Any], place: str, above: str = "") -> dict[str, Value]:
    """Nested tables as one, keys joined by dots."""
    found: dict[str, Value] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            found |= _flat(value, place, f"{above}{key}.")
        elif isinstance(value, bool | int | float | str):
            found[f"{above}{key}"] = value
        else:
            raise AppError(f"{place}: {above}{key} is a {type(value).__name__}; Flower takes whole numbers, numbers, texts, true and false")
    return found
