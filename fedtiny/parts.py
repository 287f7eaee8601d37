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
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Part(BaseModel):
    """A frozen, strict value that a scenario can state."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="strings")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The JSON schema, each key described by the docstring below its field."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in _field_docstrings(cls).items():
            if name in properties and cls.model_fields[name].description is None:
                properties[name]["description"] = text
        return schema

    def to_plain(self) -> dict[str, Any]:
        """The part as YAML can say it: dicts, lists, texts and numbers, quantities with their units."""
        return self.model_dump(mode="json", by_alias=True)


@cache
def _field_docstrings(part: type[Part]) -> dict[str, str]:
    """What stands below each field of a part's class and of those it is derived from, by name; nothing where there is no source.

    Pydantic's own `use_attribute_docstrings` reads every source file when the classes are made: a tenth of a second of each run.
    """
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
