from typing import Annotated, Literal

import pytest
from pydantic import Field, Strict

from fedtiny.parts import Part, described_schema
from fedtiny.scenario.allowed import keys_at, kinds_at, nearest, type_name, with_kinds
from fedtiny.units import Seconds


class Cat(Part):
    """Purrs."""

    kind: Literal["cat"] = "cat"
    lives: int = 9
    """How many."""


class Dog(Part):
    """Barks."""

    kind: Literal["dog"] = "dog"
    friend: "AnyPet | None" = None


AnyPet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Home(Part):
    """Where pets live."""

    first: AnyPet = Cat()
    second: AnyPet | None = None
    others: Annotated[tuple[AnyPet, ...], Strict(False)] = ()
    address: str | Cat = "here"
    walk: Seconds = 0.0
    size: int | Literal["large"] = 1
    named: dict[str, AnyPet] | None = None


Dog.model_rebuild()
Home.model_rebuild()
SCHEMA = described_schema(Home)


def test_keys_are_those_of_the_kind_that_is_there():
    plain = {"first": {"kind": "dog", "friend": {"kind": "cat"}}, "others": [{"kind": "dog"}, {"kind": "cat"}], "address": {"lives": 1}}
    assert keys_at(SCHEMA, plain, ("first",)) == {"kind": "", "friend": ""}
    assert keys_at(SCHEMA, plain, ("first", "friend")) == {"kind": "", "lives": "How many."}
    assert list(keys_at(SCHEMA, plain, ("others", 1))) == ["kind", "lives"]
    assert list(keys_at(SCHEMA, plain, ("address",))) == ["kind", "lives"]
    assert list(keys_at(SCHEMA, plain, ())) == ["first", "second", "others", "address", "walk", "size", "named"]


@pytest.mark.parametrize("path", [("walk",), ("first",), ("nowhere", "deep"), ("others", 5), ("first", "lives", 0)])
def test_no_keys_where_there_is_no_mapping_that_the_schema_knows(path):
    assert keys_at(SCHEMA, {"first": {"kind": "bird"}}, path) == {}


def test_kinds_are_those_of_the_family_at_the_place():
    assert sorted(kinds_at(SCHEMA, {}, ("first",))) == sorted(kinds_at(SCHEMA, {}, ("second",))) == ["cat", "dog"]
    assert kinds_at(SCHEMA, {}, ("walk",)) == []


def test_a_kind_alone_becomes_a_part_wherever_a_family_stands():
    plain = {"first": "dog", "second": "cat", "others": ["cat", {"kind": "dog", "friend": "cat"}], "named": {"x": "dog"}}
    assert with_kinds(SCHEMA, plain) == {
        "first": {"kind": "dog"},
        "second": {"kind": "cat"},
        "others": [{"kind": "cat"}, {"kind": "dog", "friend": {"kind": "cat"}}],
        "named": {"x": {"kind": "dog"}},
    }


@pytest.mark.parametrize("plain", [{"address": "cat"}, {"unknown": "cat"}, {"first": 3}, {"walk": "1 s"}, {"others": "cat"}, {}])
def test_what_is_no_kind_alone_is_left_as_it_is(plain):
    assert with_kinds(SCHEMA, plain) == plain


def test_a_missing_kind_is_the_defaults_where_all_keys_are():
    assert with_kinds(SCHEMA, {"first": {"lives": 3}}) == {"first": {"kind": "cat", "lives": 3}}
    assert with_kinds(SCHEMA, {"first": {"friend": "cat"}}) == {"first": {"friend": "cat"}}
    assert with_kinds(SCHEMA, {"second": {"lives": 3}}) == {"second": {"lives": 3}}


def test_types_are_said_in_words():
    said = {name: type_name(SCHEMA, field) for name, field in SCHEMA["properties"].items()}
    assert said == {
        "first": "a part of kind cat, dog",
        "second": "a part of kind cat, dog",
        "others": "a list",
        "address": "text or keys with values",
        "walk": "a quantity such as 20 ms",
        "size": "a whole number or 'large'",
        "named": "keys with values",
    }


def test_only_a_near_word_is_meant():
    assert nearest("fedavgg", ["fedavg", "dga"]) == "did you mean 'fedavg'? "
    assert nearest("xyz", ["fedavg", "dga"]) == ""
