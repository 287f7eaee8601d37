"""Sparse update: the biases of the last layers and some input channels of chosen weights train.

A scheme (k, I, R) of the paper says here

    biases: k           the biases of the last k convolutions train, and with them those of every layer of I
    weights: {i: r_i}   the weight of convolution i trains on int(in_channels r_i) of its input channels

and the head always trains. Which input channels: those whose slices of the weight have the largest L2 norms, chosen once, before
training (`layout.py`). A depthwise convolution trains on so many of its channels, a convolution of other groups whole. A ratio of
0, or one so small that not one channel is left, trains the bias only, as in the published schemes. Nothing below the last k
convolutions trains, so there the backward pass ends: the loss is not differentiated further down.

Convolutions are counted as in `convolutions.py`. Citation: Lin, Zhu, Chen, Wang, Gan, Han: On-Device Training Under 256KB Memory.
NeurIPS 2022, arXiv 2206.15472, section 2.2 and released code. The int8 graph and its quantisation-aware scaling are the model's
and the training's business; the scheme is the same in floating point.
"""

from typing import Annotated, Literal, Self, final

from pydantic import BeforeValidator, Field, model_validator

from fedtiny.errors import ScenarioError
from fedtiny.models.summary import ModelSummary
from fedtiny.updates.base import Update
from fedtiny.updates.convolutions import Convolution, main_convolutions
from fedtiny.updates.plan import UpdatePlan, in_head, plan_where, require_head
from fedtiny.updates.published_sparse import PUBLISHED, SchemeName, published_for


def _whole_number(key: object) -> object:
    """A layer's number from a key of a mapping, which YAML and JSON give as text."""
    if isinstance(key, str):
        if not (key.isascii() and key.isdigit()):
            raise ValueError(f"keys are convolutions, counted from 0 at the input, such as 23; found {key!r}")
        return int(key)
    return key


LayerNumber = Annotated[int, BeforeValidator(_whole_number), Field(ge=0)]
Ratio = Annotated[float, Field(ge=0, le=1)]


@final
class Sparse(Update):
    """The biases of the last convolutions, chosen weights on some of their input channels, and the head train."""

    kind: Literal["sparse"] = "sparse"
    scheme: SchemeName | None = None
    """A published scheme by its name, instead of `biases` and `weights`; it belongs to the network that its name begins with."""
    biases: Annotated[int, Field(ge=0)] | None = None
    """Biases of so many convolutions train, the last ones (k in the paper); the backward pass ends below them."""
    weights: dict[LayerNumber, Ratio] | None = None
    """Convolution, counted from 0 at the input: share of its input channels on which its weight trains (I and R in the paper). Each
    must be one of the last `biases`."""

    @model_validator(mode="after")
    def _says_one_scheme(self) -> Self:
        own = self.biases is not None or self.weights is not None
        if own == (self.scheme is not None):
            raise ValueError("say either scheme, such as mcunet_5fps_49kb, or biases and weights, such as {biases: 2, weights: {40: 0.5}}")
        if own and self.biases is None:
            raise ValueError("weights train together with their biases: add biases, how many of the last convolutions train theirs")
        return self

    def plan(self, summary: ModelSummary) -> UpdatePlan:
        """The plan of this scheme, under its published name or `sparse`.

        Raises ScenarioError where the network has no head or too few convolutions, where a weight lies below the last `biases`, or
        where a published scheme is another network's.
        """
        require_head("sparse", summary)
        depth, ratios = self._depth_and_ratios(summary)
        convolutions = main_convolutions(summary)
        _check(depth, ratios, len(convolutions), summary.model)
        trained = convolutions[len(convolutions) - depth :]
        counts = {convolutions[layer].weight.name: _channels(convolutions[layer], ratio) for layer, ratio in ratios.items()}
        weights = {name for name, channels in counts.items() if channels}
        names = weights | {convolution.bias.name for convolution in trained if convolution.bias is not None}
        whole = plan_where(
            self.scheme or "sparse",
            summary,
            lambda layer, parameter: parameter.name in names or in_head(layer, parameter),
            requires_backward=bool(names),
        )
        in_part = {one.weight.name for one in trained if counts.get(one.weight.name, 0) not in (0, one.in_channels)}
        channels = tuple((name, counts[name]) for name in whole.trainable if name in in_part)
        return UpdatePlan(whole.scheme, whole.trainable, whole.requires_backward, channels)

    @property
    def trains_lite_residual(self) -> bool:
        """False: sparse updates know no lite residual modules, and leave those that are there frozen."""
        return False

    def _depth_and_ratios(self, summary: ModelSummary) -> tuple[int, dict[int, float]]:
        if self.scheme is None:
            return self.biases or 0, self.weights or {}
        published = PUBLISHED[self.scheme]
        if published.model != summary.model:
            own = ", ".join(published_for(summary.model))
            raise ScenarioError(
                f"scheme {self.scheme} belongs to model {published.model}, not {summary.model}: "
                + (f"use one of {own}" if own else "say biases and weights instead; no scheme is published for this model"),
                path=("update", "scheme"),
            )
        return published.biases, published.weights


def _channels(convolution: Convolution, ratio: float) -> int:
    """On how many input channels a weight trains."""
    channels = int(convolution.in_channels * ratio)
    return channels if channels == 0 or convolution.trains_by_channel else convolution.in_channels


def _check(depth: int, ratios: dict[int, float], convolutions: int, model: str) -> None:
    if depth > convolutions:
        raise ScenarioError(f"{model} has {convolutions} convolutions, found {depth}: lower it", path=("update", "biases"))
    if any(layer >= convolutions for layer in ratios):
        raise ScenarioError(
            f"{model} has {convolutions} convolutions, 0 to {convolutions - 1}, found {max(ratios)}: name one of those",
            path=("update", "weights"),
        )
    if any(layer < convolutions - depth for layer in ratios):
        raise ScenarioError(
            f"convolution {min(ratios)} is below the last {depth}, {convolutions - depth} to {convolutions - 1}, where the backward "
            f"pass ends: raise biases to {convolutions - min(ratios)}, or leave it out",
            path=("update", "weights"),
        )
