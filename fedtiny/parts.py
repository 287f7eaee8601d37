"""Part: a piece of a scenario, which is also the object that runs.

A part is a frozen, strict pydantic object: unknown keys are errors, "3" is not 3, and nothing changes after it was
made. Its fields are what the YAML says; its methods are what it does. There is no second world of configurations,
builders and factories.

Families of parts (models, data sets, updates, strategies ...) are told apart by a literal field `kind`.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A frozen, strict value that a scenario can state."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, ser_json_inf_nan="strings")

    def to_plain(self) -> dict[str, Any]:
        """The part as YAML can say it: dicts, lists, texts and numbers, quantities with their units."""
        return self.model_dump(mode="json", by_alias=True)
