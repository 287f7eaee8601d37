"""Whether a network can read the examples of a data set: images, features over time, or characters."""

from typing import Final

from fedtiny.datasets.base import DatasetFacts
from fedtiny.errors import ScenarioError
from fedtiny.models.base import Inputs, Model

_REMEDY: Final = "use model linear or a network of your own"
_NEEDS: Final[dict[Inputs, tuple[str, str]]] = {
    "images": (
        "images (channels, height, width)",
        "give x_train and x_test four axes, (examples, channels, height, width), or use model char_lstm for text, keyword_cnn for features "
        "over time, linear, or a network of your own",
    ),
    "series": (
        "features over time, (features, steps)",
        f"give x_train and x_test three axes, (examples, features, steps), or {_REMEDY}",
    ),
    "characters": ("characters", f"use data of kind text, or another model: small_cnn for images, keyword_cnn for series, or {_REMEDY}"),
}


def check_inputs(model: Model, facts: DatasetFacts) -> None:
    """Raises ScenarioError where the model cannot read these examples; the message says what it needs and what to do."""
    if model.takes == "anything" or model.takes in _readable_as(facts):
        return
    need, remedy = _NEEDS[model.takes]
    found = "is a sequence of characters" if facts.characters else f"has shape {facts.input_shape}"
    raise ScenarioError(f"{model.kind} needs {need}, but an example of {facts.name} {found}: {remedy}", ("data",))


def _readable_as(facts: DatasetFacts) -> set[Inputs]:
    if facts.characters:
        return {"characters"}
    if len(facts.input_shape) == 2:
        return {"series"}
    # an image is also a series, its rows being features and its columns steps
    return {"images", "series"} if len(facts.input_shape) == 3 else set()
