"""What keys of parts are described by."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from fedtiny.parts import Part, described_schema

Metres = Annotated[float, WithJsonSchema({"type": "string", "description": "a length with its unit"})]


class Box(Part):
    """A box."""

    width: Metres
    """From side to side."""
    colour: str = Field("red", description="said in the field")
    """not this"""
    height: Metres = 1.0
    # a comment is no description
    content: tuple["Box", ...] = ()
    """What is in it,
    box by box."""


class NamedBox(Box):
    """A box with a name."""

    name: str
    """Written on it."""
    width: Metres
    """From end to end."""


def descriptions(part, name):
    schema = described_schema(part)
    properties = schema["$defs"][name]["properties"] if "$defs" in schema and name in schema["$defs"] else schema["properties"]
    return {key: value.get("description") for key, value in properties.items()}


def test_a_key_is_described_by_what_stands_below_its_field_unless_the_field_says_it_itself():
    assert descriptions(Box, "Box") == {
        "width": "From side to side.",
        "colour": "said in the field",
        "height": "a length with its unit",
        "content": "What is in it,\nbox by box.",
    }


def test_a_part_describes_the_keys_it_inherits_and_may_say_them_anew():
    found = descriptions(NamedBox, "NamedBox")
    assert found["content"] == "What is in it,\nbox by box."
    assert found["width"] == "From end to end."
    assert found["name"] == "Written on it."


def test_a_part_without_source_has_keys_without_descriptions():
    spaces = {"Part": Part, "__name__": "nowhere"}
    exec('class Made(Part):\n    size: int\n    """How large."""\n', spaces)
    assert descriptions(spaces["Made"], "Made") == {"size": None}
