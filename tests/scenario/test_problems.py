from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, Strict, ValidationError, model_validator

from fedtiny.parts import Part, described_schema
from fedtiny.scenario.problems import problems_of, shown
from fedtiny.units import Bytes


class Custom(Part):
    """Of your own."""

    kind: Literal["custom"]
    memory: Bytes
    speed: Literal["slow", "fast"] = "slow"


class Group(Part):
    """Several."""

    count: Annotated[int, Field(gt=0, lt=10)]
    device: str | Custom
    """A name, or one of your own."""
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    size: Annotated[int, Field(gt=0)] | Literal["all"] = 1
    axes: dict[str, Annotated[tuple[Any, ...], Strict(False), Field(min_length=1)]] | None = None
    flag: bool = True

    @model_validator(mode="after")
    def _odd(self) -> "Group":
        if self.count == 4:
            raise ValueError("four is not allowed: use five")
        return self


SCHEMA = described_schema(Group)
GOOD = {"count": 1, "device": "x"}


def problems(plain):
    with pytest.raises(ValidationError) as caught:
        Group.model_validate(plain)
    return [(".".join(map(str, path)), message) for path, message in problems_of(caught.value, plain, SCHEMA)]


@pytest.mark.parametrize(
    ("plain", "path", "message"),
    [
        ({"count": 0}, "count", "must be more than 0, found 0"),
        ({"count": 10}, "count", "must be less than 10, found 10"),
        ({"share": -0.5}, "share", "must be at least 0, found -0.5"),
        ({"share": 2}, "share", "must be at most 1, found 2"),
        ({"count": "1"}, "count", "must be a whole number, found '1'"),
        ({"flag": "yes"}, "flag", "must be true or false, found 'yes'"),
        ({"size": "some"}, "size", "must be a whole number or 'all', found 'some'"),
        ({"size": -1}, "size", "must be more than 0, found -1"),
        ({"device": 3}, "device", "must be text or keys with values, found 3"),
        ({"device": None}, "device", "must be text or keys with values, found nothing"),
        ({"device": {"kind": "custom", "memory": 5}}, "device.memory", "the unit is missing in 5: write for example '256 kB'"),
        ({"device": {"kind": "custom", "memory": "5 B", "x": 1}}, "device.x", "unknown key: allowed here: kind, memory, speed"),
        (
            {"device": {"kind": "custom", "memory": "5 B", "speed": "fats"}},
            "device.speed",
            "unknown word 'fats': did you mean 'fast'? ",
        ),
        ({"device": {"kind": "custom"}}, "device.memory", "is missing, but required"),
        ({"axes": {"a": []}}, "axes.a", "must have at least 1 entries, found 0"),
        ({"axes": {"a": 3}}, "axes.a", "must be a list, found 3"),
        ({"axes": [3]}, "axes", "must be keys with values, found [3]"),
        ({"count": 4}, "", "four is not allowed: use five"),
    ],
)
def test_a_problem_is_one_sentence_at_the_place_where_it_was_written(plain, path, message):
    (only,) = problems({**GOOD, **plain})
    assert only[0] == path
    assert only[1].startswith(message)


def test_a_misspelt_required_key_is_one_problem_not_two():
    assert problems({"cuont": 1, "device": "x"}) == [
        ("cuont", "unknown key: did you mean 'count'? allowed here: count, device, share, size, axes, flag")
    ]


def test_an_unknown_key_that_is_like_nothing_does_not_hide_a_missing_one():
    assert [path for path, _ in problems({"zzz": 1, "device": "x"})] == ["count", "zzz"]


def test_a_missing_key_is_described():
    assert problems({"count": 1}) == [("device", "is missing, but required: A name, or one of your own")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (3, "3"),
        ("a", "'a'"),
        (["a"], "['a']"),
        (list(range(99)), "a list (99)"),
        ("x" * 99, f"'{'x' * 59}..."),
    ],
)
def test_found_values_are_shown_shortly(value, text):
    assert shown(value) == text
