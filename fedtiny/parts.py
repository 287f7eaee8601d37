"""Part: a piece of a scenario, which is also the object that runs.

A part is a frozen, strict pydantic object: unknown keys are errors, "3" is not 3, and nothing changes after it was
made. Its fields are what the YAML says; its methods are what it does. There is no second world of configurations,
builders and factories.

Families of parts (models, data sets, updates, strategies ...) are told apart by a literal field `kind`.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any, cast

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


class Part(BaseModel):
    """A frozen, strict value that a scenario can state."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="strings")

    def to_plain(self) -> dict[str, Any]:
        """The part as YAML can say it: dicts, lists, texts and numbers, quantities with their units."""
        return self.model_dump(mode="json", by_alias=True)


def described_schema(part: type[Part]) -> dict[str, Any]:
    """The JSON schema of a part, each key described by the docstring below its field.

    Pydantic's own `use_attribute_docstrings` reads every source file when the classes are made, and `model_json_schema()` is asked for
    whenever a scenario is read: a tenth of a second of each run, for texts that only people want.
    """
    return part.model_json_schema(schema_generator=DescribedSchema)


class DescribedSchema(GenerateJsonSchema):
    """Makes JSON schemas whose keys are described; for pydantic's `schema_generator`."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """The schema of one class with its descriptions; pydantic asks for it."""
        found, part = GenerateJsonSchema.model_schema(self, schema), cast(type[Part], schema["cls"])
        for name, text in _field_docstrings(part).items():
            if name in found.get("properties", {}) and part.model_fields[name].description is None:
                found["properties"][name]["description"] = text
        return found


@cache
def _field_docstrings(part: type[Part]) -> dict[str, str]:
    """What stands below each field of a part's class and of those it is derived from, by name; nothing where there is no source."""
    found: dict[str, str] = {}
    for base in reversed(part.__mro__):
        if issubclass(base, Part):
            found |= dict(_read_docstrings(base))
    return found


def _read_docstrings(part: type[Part]) -> Iterator[tuple[str, str]]:
    try:
        source = textwrap.dedent(inspect.getsource(part))
    except (OSError, TypeError):  # made at a prompt, or by exec
        return
    match ast.parse(source).body:
        case [ast.ClassDef(body=statements)]:
            for pair in pairwise(statements):
                match pair:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                        yield name, inspect.cleandoc(text)
