"""YAML text as a tree of plain values, with the place of every key.

Reading is safe: only texts, numbers, true/false, null, lists and mappings; the size is checked before anything is
expanded, so a file that blows up through aliases ("a YAML bomb") ends at once. Limits: 1 MB, 40 levels, 100 000 values
counted after aliases are expanded.

Three things differ from YAML 1.1 as PyYAML reads it: `1e-3` is a number, as in YAML 1.2, a date stays a text, and a key that is a
whole number, such as that of a layer, is the text of it.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from fedtiny.errors import ScenarioError

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a scenario: ``("fleet", 0, "count")``."""

MOST_BYTES: Final = 1_000_000
MOST_LEVELS: Final = 40
MOST_VALUES: Final = 100_000

_LONGEST_SHOWN: Final = 40
_TAG: Final = "tag:yaml.org,2002:"
_EXPONENT: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$")
_Place = Callable[[yaml.Mark], str]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader that also takes 1e-3 for a number."""


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper that quotes a text which _Loader would take for a number."""


_Loader.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+.0123456789"))
_Dumper.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+.0123456789"))


@dataclass(frozen=True)
class SourceMap:
    """Where each key of a scenario was said: `scenario.yaml:12` or `--set seed=3`."""

    places: Mapping[KeyPath, str]

    def locate(self, path: KeyPath) -> str:
        """The place of a key, or of the nearest key above it that somebody wrote."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return "scenario"

    def explain(self, message: str, path: KeyPath) -> str:
        """The message behind its place and key: `scenario.yaml:12: fleet.0.count: must be more than 0, found -3`."""
        return ": ".join(part for part in (self.locate(path), dotted(path), message) if part)


@dataclass(frozen=True)
class Tree:
    """Plain values (dicts, lists, texts, numbers, booleans, None) and where each was said."""

    plain: Any
    sources: SourceMap

    def replaced(self, path: KeyPath, value: Any, place: str) -> "Tree":
        """The tree with another value at `path`; mappings on the way to it are made where they are missing.

        Raises ScenarioError where the way leads through something that is neither a mapping nor a list.
        """
        path = _positions(self.plain, path, f"{place}: {dotted(path)}")
        plain = _put(self.plain, path, value)
        kept = {known: where for known, where in self.sources.places.items() if known[: len(path)] != path}
        made = {path[:length]: place for length in range(1, len(path) + 1)}
        return Tree(plain, SourceMap({**made, **kept}))


def dotted(path: KeyPath) -> str:
    """A path as people write it: `fleet.0.count`."""
    return ".".join(str(key) for key in path)


def parse_tree(text: str, name: str, *, lines: bool = True) -> Tree:
    """The tree of a YAML text; `name` and, with `lines`, the line number are the place of each of its keys.

    Raises ScenarioError, with the place in its message, for anything that is not plain YAML within the limits.
    """

    def place(mark: yaml.Mark) -> str:
        return f"{name}:{mark.line + 1}" if lines else name

    node = _compose(text, place)
    if node is None:
        return Tree(None, SourceMap({(): f"{name}:1" if lines else name}))
    _measure(node, {}, place)
    places: dict[KeyPath, str] = {(): place(node.start_mark)}
    return Tree(_plain(node, (), place, places), SourceMap(places))


def dump_tree(plain: Any) -> str:
    """Plain values as YAML that `parse_tree` reads back to the same values, in the same order."""
    # ASCII alone: PyYAML writes some other characters so that it reads them back as spaces
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=120)


def _compose(text: str, place: _Place) -> yaml.Node | None:
    if len(text.encode()) > MOST_BYTES:
        raise ScenarioError(f"{place(_START)}: more than {MOST_BYTES // 1000} kB, the limit of a scenario: keep data in files of its own")
    try:
        _check_events(text, place)
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or _START
        raise ScenarioError(f"{place(mark)}: not valid YAML: {error.problem or error.context}{_hint(text, mark)}") from None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{place(_START)}: not a YAML text: {str(error).splitlines()[0]}") from None


def _check_events(text: str, place: _Place) -> None:
    """Ends before PyYAML's recursion does: its parser is a loop, its composer is not."""
    level = values = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            level += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            level -= 1
        values += isinstance(event, yaml.NodeEvent)
        _check_limits(values, level, event.start_mark, place)


def _check_limits(values: int, levels: int, mark: Any, place: _Place) -> None:
    mark = mark or _START
    if levels > MOST_LEVELS:
        raise ScenarioError(f"{place(mark)}: nested deeper than {MOST_LEVELS} levels: no scenario needs that")
    if values > MOST_VALUES:
        raise ScenarioError(f"{place(mark)}: more than {MOST_VALUES} values, aliases expanded: no scenario needs that many")


def _hint(text: str, mark: yaml.Mark) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    return " (YAML indents with spaces, not tabs)" if "\t" in line else ""


def _measure(node: yaml.Node, known: dict[int, tuple[int, int] | None], place: _Place) -> tuple[int, int]:
    """Values and levels below a node with aliases expanded, without expanding them: shared nodes are counted once."""
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise ScenarioError(f"{place(node.start_mark)}: an alias that contains itself cannot be read")
        return found
    known[id(node)] = None
    children = [_measure(child, known, place) for child in _children(node)]
    values = 1 + sum(size for size, _ in children)
    levels = 1 + max((depth for _, depth in children), default=-1)
    _check_limits(values, levels, node.start_mark, place)
    known[id(node)] = (values, levels)
    return values, levels


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _plain(node: yaml.Node, path: KeyPath, place: _Place, places: dict[KeyPath, str]) -> Any:
    if isinstance(node, yaml.MappingNode):
        _check_tag(node, "map", place)
        result = {}
        for name, (key, value) in _pairs(node, place).items():
            places[(*path, name)] = place(key.start_mark)
            result[name] = _plain(value, (*path, name), place, places)
        return result
    if isinstance(node, yaml.SequenceNode):
        _check_tag(node, "seq", place)
        for index, item in enumerate(node.value):
            places[(*path, index)] = place(item.start_mark)
        return [_plain(item, (*path, index), place, places) for index, item in enumerate(node.value)]
    return _scalar(node, place)


def _pairs(node: yaml.MappingNode, place: _Place) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Key and value nodes by name; what `<<` merges in comes first and gives way to the mapping's own keys."""
    merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        if key.tag == f"{_TAG}merge":
            for source in reversed(value.value if isinstance(value, yaml.SequenceNode) else [value]):
                if not isinstance(source, yaml.MappingNode):
                    raise ScenarioError(f"{place(key.start_mark)}: '<<' merges mappings only")
                merged.update(_pairs(source, place))
            continue
        # in YAML 1.2 on and off are texts; nobody means a truth value by a key
        if key.tag not in (f"{_TAG}str", f"{_TAG}int") and (key.tag, key.value) not in ((f"{_TAG}bool", "on"), (f"{_TAG}bool", "off")):
            raise ScenarioError(f"{place(key.start_mark)}: a key must be text, found {_shown(key)}: put it in quotes if it is meant")
        if key.value in own:
            first = place(own[key.value][0].start_mark)
            raise ScenarioError(f"{place(key.start_mark)}: {key.value}: the key stands here twice (first at {first}): keep one")
        own[key.value] = (key, value)
    return {**merged, **own}


def _scalar(node: yaml.Node, place: _Place) -> Any:
    tag = node.tag.removeprefix(_TAG)
    construct = _SCALARS.get(tag)
    if construct is None:
        raise _tag_error(node, place)
    try:
        value = construct(_CONSTRUCTOR, node)
    except (ValueError, KeyError, IndexError, OverflowError):
        raise ScenarioError(f"{place(node.start_mark)}: {_shown(node)} cannot be read as {tag}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ScenarioError(f"{place(node.start_mark)}: {_shown(node)} is not a number that a scenario can state: it must be finite")
    return value


def _check_tag(node: yaml.Node, tag: str, place: _Place) -> None:
    if node.tag != f"{_TAG}{tag}":
        raise _tag_error(node, place)


def _tag_error(node: yaml.Node, place: _Place) -> ScenarioError:
    tag = node.tag.removeprefix(_TAG).removeprefix("!")
    return ScenarioError(f"{place(node.start_mark)}: the tag !{tag} cannot be used: a scenario has texts, numbers, lists and mappings")


def _shown(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
    return repr(node.value if len(node.value) <= _LONGEST_SHOWN else f"{node.value[:_LONGEST_SHOWN]}...")


def _positions(plain: Any, path: KeyPath, place: str) -> KeyPath:
    """The path with its texts as numbers where it enters a list; ends where a step leads nowhere."""
    if not path:
        return ()
    key: str | int = str(path[0])
    if isinstance(plain, list):
        key = _position(str(key), len(plain), place)
        return (key, *_positions(plain[key], path[1:], place))
    if plain is None or isinstance(plain, dict):
        return (key, *_positions((plain or {}).get(key), path[1:], place))
    raise ScenarioError(f"{place}: there is no key '{key}' in {plain!r}: set the whole part instead")


def _position(text: str, length: int, place: str) -> int:
    if not text.isdecimal() or int(text) >= length:
        allowed = f"allowed are 0 to {length - 1}" if length else "it is empty"
        raise ScenarioError(f"{place}: '{text}' is no position in this list: {allowed}")
    return int(text)


def _put(plain: Any, path: KeyPath, value: Any) -> Any:
    if not path:
        return value
    key = path[0]
    if isinstance(plain, list):
        return [_put(item, path[1:], value) if index == key else item for index, item in enumerate(plain)]
    mapping = plain or {}
    return {**mapping, key: _put(mapping.get(key), path[1:], value)}


def _text(_: yaml.constructor.SafeConstructor, node: yaml.Node) -> str:
    return str(node.value)


_START: Final = yaml.Mark("", 0, 0, 0, None, 0)
_CONSTRUCTOR: Final = yaml.constructor.SafeConstructor()
_SCALARS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "str": _text,
    "timestamp": _text,
    "int": yaml.constructor.SafeConstructor.construct_yaml_int,
    "float": yaml.constructor.SafeConstructor.construct_yaml_float,
    "bool": yaml.constructor.SafeConstructor.construct_yaml_bool,
    "null": yaml.constructor.SafeConstructor.construct_yaml_null,
}
