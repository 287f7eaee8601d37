"""YAML in, Scenario out: the one place where a scenario is read, and where what is wrong with it gets file and line.

A scenario is read in three steps, each a value of its own: the tree of the file, the tree with overrides, the checked
Scenario. A sweep repeats the last two for each of its cells. After that nobody reads YAML.

Files that a scenario names are looked for relative to its own folder, and enter the scenario with their absolute path
and, where the part has a key `sha256`, with the SHA-256 of their content, so that the resolved scenario says exactly
what was used.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from fedtiny.datasets.npz import file_digest
from fedtiny.datasets.text import corpus_digest, corpus_files
from fedtiny.errors import CatalogError, DataError, FedTinyError, ModelError, ScenarioError
from fedtiny.fleet.profile_file import PROFILE, read_profile
from fedtiny.models.base import IMAGENET
from fedtiny.models.checkpoint_folder import ARCHITECTURE
from fedtiny.models.given_network import given_network
from fedtiny.parts import DescribedSchema, Part
from fedtiny.scenario.allowed import keys_at, with_kinds
from fedtiny.scenario.problems import Problem, problems_of
from fedtiny.scenario.reference import keys_schema, scenario_schema
from fedtiny.scenario.schema import Scenario
from fedtiny.scenario.tree import MOST_BYTES, KeyPath, SourceMap, Tree, dump_tree, parse_tree

_FILES: Final = (("data", "path", "sha256"), ("model", "path", "sha256"), ("model", "pretrained", "pretrained_sha256"))
_NO_FILES: Final = (("pretrained", IMAGENET),)
"""Keys that name files: part, key, and the key for the file's SHA-256."""


@dataclass(frozen=True)
class Override:
    """Another value at a place of a scenario, and who said so."""

    path: KeyPath
    value: Any
    place: str


def load_scenario(path: str | Path, overrides: Mapping[str, Any] | None = None, *, model: Callable[..., Any] | None = None) -> Scenario:
    """The scenario of a YAML file.

    `overrides` maps dotted keys to values, as `--set` does: ``{"network.latency": "100 ms", "strategy": "fedavg"}``. A
    text is read as YAML; any other value is taken as it is. `model` is a class or function that makes a torch module of your
    own, instead of the file's model. Raises ScenarioError, with one line for every problem.
    """
    given = python_overrides(overrides or {})
    if model is not None:
        given.append(Override(("model",), given_network(model), "model given from Python"))
    return load_with_source(path, given)[0]


def load_with_source(path: str | Path, overrides: Iterable[Override] = ()) -> tuple[Scenario, SourceMap]:
    """The scenario of a YAML file, and where each of its keys was said."""
    tree = override(read_tree(path), overrides)
    return to_scenario(tree, Path(path).parent), tree.sources


def read_tree(path: str | Path) -> Tree:
    """The YAML file as a tree, not checked against the schema; raises ScenarioError for what is not a mapping in YAML."""
    text = _read_text(Path(path))
    tree = parse_tree(text, str(path))
    if tree.plain is None:
        raise ScenarioError(f"{path}:1: the file says nothing: `fedtiny init` writes a scenario to start from")
    if not isinstance(tree.plain, dict):
        raise ScenarioError(
            f"{path}:1: a scenario is a mapping of keys and values, such as 'name: mine', found {type(tree.plain).__name__}"
        )
    return Tree(with_kinds(keys_schema(), tree.plain), tree.sources)


def parse_override(text: str, option: str = "--set") -> Override:
    """The override that `--set KEY=VALUE` asks for; VALUE is any YAML value. Raises ScenarioError if it cannot be read."""
    key, equals, value = text.partition("=")
    place = f"{option} {text}"
    if not equals:
        raise ScenarioError(f"{place}: expected KEY=VALUE, such as {option} network.latency='100 ms'")
    return Override(key_path(key, place), parse_tree(value, place, lines=False).plain, place)


def python_overrides(overrides: Mapping[str, Any]) -> list[Override]:
    """The overrides that a mapping from dotted keys to values asks for; texts are read as YAML, parts as what they say."""
    result = []
    for key, given in overrides.items():
        place = f"override {key!r}"
        value = given.to_plain() if isinstance(given, Part) else given
        plain = parse_tree(value, place, lines=False).plain if isinstance(value, str) else value
        result.append(Override(key_path(key, place), plain, place))
    return result


def key_path(key: str, place: str) -> KeyPath:
    """The path that a dotted key names; raises ScenarioError if it names none."""
    steps = tuple(step.strip() for step in key.split("."))
    if not all(steps):
        raise ScenarioError(f"{place}: {key!r} is no key: write keys joined by dots, such as network.latency or fleet.0.count")
    return steps


def override(tree: Tree, overrides: Iterable[Override]) -> Tree:
    """The tree with values replaced, in order; kinds that stand alone become parts."""
    for one in overrides:
        tree = tree.replaced(one.path, one.value, one.place)
        tree = Tree(with_kinds(keys_schema(), tree.plain), tree.sources)
    return tree


def read_part(text: str, family: Any, place: str) -> Any:
    """A part of a family (a union of choices.py) from a short YAML text, such as `tinytl` or `{kind: mobilenet_v2, width: 0.5}`.

    Raises ScenarioError, with `place` in its message.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(family)
    tree = parse_tree(text, place, lines=False)
    plain = with_kinds(adapter.json_schema(), tree.plain)
    try:
        return adapter.validate_python(plain)
    except ValidationError as error:
        described = adapter.json_schema(schema_generator=DescribedSchema)
        raise scenario_error(problems_of(error, plain, described), tree.sources) from None


def to_scenario(tree: Tree, folder: Path) -> Scenario:
    """The tree checked against the schema, its file names counted from `folder`; raises ScenarioError with all problems."""
    with explained(tree.sources):
        plain = with_files(tree.plain, folder)
        try:
            return Scenario.model_validate(plain)
        except ValidationError as error:
            problems = problems_of(error, plain, scenario_schema())
    raise scenario_error(problems, tree.sources)


def scenario_error(problems: Sequence[Problem], sources: SourceMap) -> ScenarioError:
    """All problems as one error, a line for each, with file and line."""
    return ScenarioError("\n".join(sources.explain(problem.message, problem.path) for problem in problems), problems[0].path)


def resolved_yaml(scenario: Scenario) -> str:
    """The scenario with every default, as YAML in the schema's order: running it again gives the same run.

    Keys without a value are left out.
    """
    return dump_tree(_kind_first(scenario.model_dump(mode="json", by_alias=True, exclude_none=True)))


def write_template(name: str) -> Path:
    """Writes the scenario that people start from to `<name>.yaml` and gives its path; never replaces a file."""
    path = Path(f"{name.removesuffix('.yaml')}.yaml")
    text = files("fedtiny.scenario").joinpath("template.yaml").read_text(encoding="utf-8").replace("my_scenario", path.stem)
    to_scenario(override(parse_tree(text, str(path)), [Override(("name",), path.stem, "NAME")]), path.parent)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ScenarioError(f"{path} exists already: choose another name") from None
    except OSError as error:
        raise ScenarioError(f"{path} cannot be written: {error.strerror or error}") from None
    return path


def template_scenario(overrides: Sequence[Override] = ()) -> tuple[Scenario, SourceMap]:
    """The scenario that people start from, with these values laid over it."""
    text = files("fedtiny.scenario").joinpath("template.yaml").read_text(encoding="utf-8")
    tree = override(parse_tree(text, "the template of fedtiny init"), overrides)
    return to_scenario(tree, Path()), tree.sources


def _kind_first(plain: Any) -> Any:
    if isinstance(plain, dict):
        ordered = {**({"kind": plain["kind"]} if "kind" in plain else {}), **plain}
        return {key: _kind_first(value) for key, value in ordered.items()}
    return [_kind_first(value) for value in plain] if isinstance(plain, list) else plain


@contextlib.contextmanager
def explained(sources: SourceMap) -> Iterator[None]:
    """Adds file, line and key to what is found wrong with a scenario after it was read."""
    try:
        yield
    except ScenarioError as error:
        raise type(error)(sources.explain(str(error), error.path), error.path) from None
    except (DataError, ModelError, CatalogError) as error:
        raise type(error)(sources.explain(str(error), place_of(error))) from None


def place_of(error: FedTinyError) -> KeyPath:
    """The key of a scenario that an error is about; the whole scenario where it does not say."""
    if isinstance(error, ScenarioError):
        return error.path
    if isinstance(error, DataError):
        return ("data",)
    return ("model",) if isinstance(error, ModelError) else ("fleet",) if isinstance(error, CatalogError) else ()


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ScenarioError(f"{path}:1: there is no such file: `fedtiny init` writes a scenario to start from") from None
    except IsADirectoryError:
        raise ScenarioError(f"{path}:1: this is a folder: name the YAML file of a scenario") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ScenarioError(f"{path}:{line}: this is not a text file in UTF-8: a scenario is YAML") from None
    except OSError as error:
        raise ScenarioError(f"{path}:1: the file cannot be read: {error.strerror or error}") from None


def with_files(plain: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The values with absolute file names, and what the files are, where the part has a key for it."""
    for part, key, digest in _FILES:
        below = plain.get(part)
        allowed = keys_at(keys_schema(), plain, (part,))
        if isinstance(below, dict) and isinstance(below.get(key), str) and (key, below[key]) not in _NO_FILES and key in allowed:
            file = (folder / Path(below[key]).expanduser()).resolve()
            several = below.get("kind") == "text"
            said = file / ARCHITECTURE if below.get("kind") == "checkpoint" and key == "path" else file
            found = {digest: _digest(said, below.get(digest), (part, key), several=several)} if digest in allowed else {}
            plain = {**plain, part: {**below, key: str(file), **found}}
    return _with_files_of_fleet(plain, folder)


def _with_files_of_fleet(plain: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same of the availability traces and device profiles of a fleet's groups, or of a population."""
    fleet = plain.get("fleet")
    groups = fleet if isinstance(fleet, list | tuple) else [fleet]
    found = [_with_group_files(group, folder, ("fleet", *([place] if groups is fleet else []))) for place, group in enumerate(groups)]
    return {**plain, "fleet": found if groups is fleet else found[0]} if found != list(groups) else plain


def _with_group_files(group: Any, folder: Path, place: KeyPath) -> Any:
    if not isinstance(group, dict):
        return group
    group = _with_profile(group, folder, (*place, "device"))
    members = group.get("members")
    if isinstance(members, list):
        found = [_with_group_files(member, folder, (*place, "members", number)) for number, member in enumerate(members)]
        group = {**group, "members": found}
    below = group.get("availability")
    if not (isinstance(below, dict) and below.get("kind") == "trace" and isinstance(below.get("path"), str)):
        return group
    file = (folder / Path(below["path"]).expanduser()).resolve()
    digest = _digest(file, below.get("sha256"), (*place, "availability", "path"), several=False)
    return {**group, "availability": {**below, "path": str(file), "sha256": digest}}


def _with_profile(group: dict[str, Any], folder: Path, place: KeyPath) -> dict[str, Any]:
    """A group whose device is named by the file of its profile, with what that file says in its place."""
    device = group.get("device")
    if not (isinstance(device, dict) and device.get("kind") == PROFILE):
        return group
    if set(device) != {"kind", "path"} or not isinstance(device["path"], str):
        raise ScenarioError("a device of kind profile is {kind: profile, path: FILE}: what else it is stands in that file", place)
    try:
        return {**group, "device": read_profile(folder / Path(device["path"]).expanduser())}
    except ScenarioError as error:
        raise ScenarioError(str(error), (*place, "path")) from None


def _digest(file: Path, expected: object, path: KeyPath, *, several: bool) -> str:
    """The SHA-256 of a file, or of `several`: those of a folder or pattern."""
    if not (corpus_files(file) if several else file.is_file()):
        raise ScenarioError(f"there is no file {file}: a relative path counts from the scenario's folder", path)
    found = corpus_digest(file) if several else file_digest(file)
    if expected is not None and expected != found:
        raise ScenarioError(f"{file} has SHA-256 {found}, but the scenario says {expected}: it is not the same file", path)
    return found
