"""What is wrong with a scenario, in plain words: pydantic's errors as one sentence each.

A sentence says what was found, what is allowed and what to do. pydantic puts the names of union members into its paths
(`strategy.dga.delay`); here they are taken out again, so that a path names what the file says (`strategy.delay`).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fedtiny.scenario.allowed import Schema, keys_at, kinds_at, nearest
from fedtiny.scenario.tree import KeyPath

_LONGEST_VALUE: Final = 60
_TYPES: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values, one of them the kind",
    "finite_number": "a finite number",
}
_BOUNDS: Final = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_LENGTHS: Final = {
    "too_short": ("at least", "min_length", "entries"),
    "too_long": ("at most", "max_length", "entries"),
    "string_too_short": ("at least", "min_length", "characters"),
    "string_too_long": ("at most", "max_length", "characters"),
}


class Problem(NamedTuple):
    """One thing that is wrong, and where."""

    path: KeyPath
    message: str


class _Found(NamedTuple):
    """One of pydantic's errors, with the members of unions taken out of its path.

    `at_door` is true where a member of a plain union looked at the whole value: its name was the last of the path.
    """

    kind: str
    path: KeyPath
    at_door: bool
    value: Any
    details: ErrorDetails


def problems_of(error: ValidationError, plain: Any, schema: Schema) -> list[Problem]:
    """Everything that pydantic found wrong with the values `plain`, in their order."""
    found = [_found(details, plain) for details in error.errors(include_url=False)]
    said = [one for one in found if not _is_said_better(one, found)]
    problems = [Problem(_place(one), _sentence(one, found, plain, schema)) for one in said]
    return list(dict.fromkeys(problems))


def shown(value: Any) -> str:
    """A value as an error message quotes it, shortened where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, (dict, list)) and len(repr(value)) > _LONGEST_VALUE:
        return f"{'keys with values' if isinstance(value, dict) else 'a list'} ({len(value)})"
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _found(details: ErrorDetails, plain: Any) -> _Found:
    path: list[str | int] = []
    value = plain
    at_door = False
    for key in details["loc"]:
        at_door = False
        if (isinstance(value, dict) and key in value) or (isinstance(value, list) and isinstance(key, int)):
            value = value[key]  # type: ignore[index]
            path.append(key)
        else:
            at_door = True
    if details["type"] == "missing":
        return _Found("missing", (*path, details["loc"][-1]), False, value, details)
    return _Found(details["type"], tuple(path), at_door, value, details)


def _place(one: _Found) -> KeyPath:
    return (*one.path, "kind") if one.kind == "union_tag_invalid" else one.path


def _is_said_better(one: _Found, found: Sequence[_Found]) -> bool:
    """Whether another problem says it: a member of a union that was entered, the misspelt key of one that is missing, a wrong entry."""
    if one.kind == "too_short":
        return bool(len(one.value) >= one.details.get("ctx", {})["min_length"])
    if one.kind == "missing":
        beside = [other for other in found if other.kind == "extra_forbidden" and other.path[:-1] == one.path[:-1]]
        return any(nearest(other.path[-1], [str(one.path[-1])]) for other in beside)
    return _is_refusal(one) and any(not _is_refusal(other) and other.path[: len(one.path)] == one.path for other in found)


def _is_refusal(one: _Found) -> bool:
    return one.at_door and (one.kind in _TYPES or one.kind == "literal_error")


def _sentence(one: _Found, found: Sequence[_Found], plain: Any, schema: Schema) -> str:
    if one.kind in _TYPES or _is_refusal(one):
        allowed = [_expected(other) for other in found if other.path == one.path]
        return f"must be {' or '.join(dict.fromkeys(allowed))}, found {shown(one.value)}"
    if one.kind in ("extra_forbidden", "missing"):
        keys = keys_at(schema, plain, one.path[:-1])
        return _unknown_key(str(one.path[-1]), keys) if one.kind == "extra_forbidden" else _missing_key(str(one.path[-1]), keys)
    if one.kind == "union_tag_not_found":
        return f"the kind is missing: allowed kinds are {', '.join(kinds_at(schema, plain, one.path))}"
    describe = _SENTENCES.get(one.kind)
    if describe is not None:
        return describe(one, one.details.get("ctx", {}))
    message = one.details["msg"].removeprefix("Value error, ")
    return message if one.kind == "value_error" else f"{message}, found {shown(one.value)}"


def _expected(one: _Found) -> str:
    return _TYPES[one.kind] if one.kind in _TYPES else str(one.details.get("ctx", {}).get("expected", one.details["msg"]))


def _unknown_key(key: str, keys: Iterable[str]) -> str:
    allowed = ", ".join(keys)
    return f"unknown key: {nearest(key, keys)}{f'allowed here: {allowed}' if allowed else 'no key is allowed here'}"


def _missing_key(key: str, keys: dict[str, str]) -> str:
    description = keys.get(key, "").split("\n")[0].strip().rstrip(".")
    return f"is missing, but required{f': {description}' if description else ''}"


def _bound(one: _Found, context: dict[str, Any]) -> str:
    words, key = _BOUNDS[one.kind]
    return f"must be {words} {context[key]:g}, found {shown(one.value)}"


def _length(one: _Found, context: dict[str, Any]) -> str:
    words, key, unit = _LENGTHS[one.kind]
    return f"must have {words} {context[key]} {unit}, found {len(one.value)}"


def _pattern(one: _Found, context: dict[str, Any]) -> str:
    return f"must have the form {context['pattern']}, found {shown(one.value)}"


def _unknown_kind(one: _Found, context: dict[str, Any]) -> str:
    allowed = _words(context["expected_tags"])
    return f"unknown kind {shown(context['tag'])}: {nearest(context['tag'], allowed)}allowed: {', '.join(allowed)}"


def _word(one: _Found, context: dict[str, Any]) -> str:
    allowed = _words(context["expected"])
    return f"unknown word {shown(one.value)}: {nearest(one.value, allowed)}allowed: {', '.join(allowed)}"


def _words(text: str) -> list[str]:
    return [word.strip().strip("'") for word in text.replace(" or ", ", ").split(",") if word.strip()]


_SENTENCES: Final[dict[str, Callable[[_Found, dict[str, Any]], str]]] = {
    **dict.fromkeys(_BOUNDS, _bound),
    **dict.fromkeys(_LENGTHS, _length),
    "string_pattern_mismatch": _pattern,
    "union_tag_invalid": _unknown_kind,
    "literal_error": _word,
}
