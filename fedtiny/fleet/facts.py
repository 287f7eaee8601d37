"""Facts: the numbers of the catalog, each with where it comes from.

| evidence | means |
|---|---|
| M | measured: taken from the source |
| D | derived from measured numbers, by the formula in the note |
| V | documentation of the vendor, board or distribution |
| E | estimate: the note gives the derivation; good to a factor of 2 unless it says otherwise |
"""

from typing import Annotated, Literal, final

from pydantic import Field, Strict

from fedtiny.parts import Part

Evidence = Literal["M", "D", "V", "E"]
Text = Annotated[str, Field(min_length=1)]


@final
class Fact(Part):
    """A number of the catalog with its evidence."""

    value: Text | float
    """The quantity with its unit, as the file writes it, or a plain number."""
    evidence: Evidence
    """M measured, D derived, V vendor's documentation, E estimate."""
    sources: Annotated[tuple[Text, ...], Strict(False), Field(min_length=1)]
    """Keys of the citations."""
    note: Text
    """How the number was taken or derived."""


@final
class Source(Part):
    """Where numbers come from."""

    citation: Text
    """Author, title, place and version: enough to find it again."""
    url: Annotated[str, Field(pattern=r"^https://[a-z0-9.-]+\.[a-z]{2,}/\S+$")]
    """Where a reader can look it up: a page or a repository, not a host."""
    license: Text | None = None
    """The licence of the cited files, where they state one; numbers are cited, files are not copied."""


@final
class RateFacts(Part):
    """Where the effective training rates of a device come from."""

    dense_gemm: Fact
    dense_convolution: Fact
    depthwise: Fact
    recurrent: Fact
    pointwise_convolution: Fact | None = None
    grouped_convolution: Fact | None = None
    attention: Fact | None = None


@final
class BackwardFacts(Part):
    """Where it is known from how much slower than forward passes backward passes are; 1 for classes left out."""

    dense_gemm: Fact | None = None
    dense_convolution: Fact | None = None
    depthwise: Fact | None = None
    recurrent: Fact | None = None
    pointwise_convolution: Fact | None = None
    grouped_convolution: Fact | None = None
    attention: Fact | None = None


@final
class ThrottlingFacts(Part):
    """Where it is known from when a device gets hot and how it then slows down."""

    after: Fact
    factor: Fact


@final
class PagingFacts(Part):
    """Where the speed of the storage of a device that pages comes from."""

    read: Fact
    write: Fact
    power: Fact | None = None


@final
class PowerFacts(Part):
    """Where the power of a device comes from."""

    idle: Fact
    active: Fact
