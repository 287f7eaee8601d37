"""How the training examples are spread over the clients.

| kind | what it gives | definition |
|---|---|---|
| iid | equal random shares, sizes differ by at most one | - |
| dirichlet | of every class, a share of the client drawn from Dir(alpha): few classes and unequal sizes for small alpha | [1], [2] |
| shards | exactly `classes_per_client` classes for every client, a class cut evenly among its clients | [3], cut by class as in [4] |
| sizes | the stated numbers or shares of examples, or sizes with a log-normal spread; classes as they fall | - |
| natural | the data set says whose every example is | - |
| by_device_class | labels that live mostly on the devices of one class, equal sizes where that is possible | by_device_class.py |
| with_replacement | devices of a population draw their own examples from the whole data set | with_replacement.py |

A split is a list of sorted, disjoint index arrays, one per client, none empty; it depends on the seed, the targets and
the number of clients. All but `sizes` with less than everything use every example, and `with_replacement` splits nothing. Why
FedTiny has its own partitions, and where they differ from Flower's: docs/decisions/0002-partitions.md.

[1] Yurochkin et al., Bayesian Nonparametric Federated Learning of Neural Networks, ICML 2019, section 4.
[2] Hsu, Qi, Brown, Measuring the Effects of Non-Identical Data Distribution, arXiv:1909.06335 (draws classes per client).
[3] McMahan et al., Communication-Efficient Learning of Deep Networks, AISTATS 2017, section 3 (shards of sorted examples).
[4] Li et al., Federated Learning on Non-IID Data Silos, ICDE 2022, arXiv:2102.02079, section 4 ("#C = k").
"""

from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, Strict, model_validator

from fedtiny.datasets.by_device_class import ByDeviceClass
from fedtiny.datasets.partition_family import (
    NOTHING_KNOWN,
    Count,
    Indices,
    KnownOfClients,
    Partition,
    check_enough,
    examples_by_label,
    partition_stream,
    rounded,
)
from fedtiny.datasets.with_replacement import WithReplacement
from fedtiny.errors import DataError
from fedtiny.randomness import Streams

PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_MOST_DRAWS: Final = 1000
_SHARES_TOLERANCE: Final = 1e-9


class Iid(Partition):
    """Every client a random share of the same size (or one example more)."""

    kind: Literal["iid"] = "iid"

    def split(self, targets: NDArray[Any], clients: int, streams: Streams, known: KnownOfClients = NOTHING_KNOWN) -> list[Indices]:
        """Sizes differ by at most one; every example is used."""
        check_enough(targets, clients)
        return [np.sort(part) for part in np.array_split(partition_stream(streams).permutation(len(targets)), clients)]


class Dirichlet(Partition):
    """Label skew: the shares that the clients have of a class are drawn from a Dirichlet distribution, class by class."""

    kind: Literal["dirichlet"] = "dirichlet"
    alpha: Annotated[float, Field(gt=0, le=1e9)]
    """Concentration: 0.1 gives clients few classes, 100 nearly the same mixture."""
    minimum_examples: Count = 1
    """Shares are drawn again until every client has that many examples."""

    def split(self, targets: NDArray[Any], clients: int, streams: Streams, known: KnownOfClients = NOTHING_KNOWN) -> list[Indices]:
        """Every example is used; every client has at least `minimum_examples`."""
        check_enough(targets, clients, self.minimum_examples)
        generator = partition_stream(streams)
        by_class = examples_by_label(targets, generator)
        cuts = self._cuts([len(members) for members in by_class], clients, generator)
        pieces = [np.split(members, cut) for members, cut in zip(by_class, cuts, strict=True)]
        return [np.sort(np.concatenate(parts)) for parts in zip(*pieces, strict=True)]

    def _cuts(self, class_sizes: list[int], clients: int, generator: np.random.Generator) -> Indices:
        """Where to cut every class, `(classes, clients - 1)`, from the first draw that leaves nobody short."""
        sizes = np.array(class_sizes)[:, None]
        for _ in range(_MOST_DRAWS):
            shares = generator.dirichlet(np.full(clients, self.alpha), size=len(class_sizes))
            cuts: Indices = np.minimum(np.cumsum(shares, axis=1)[:, :-1] * sizes, sizes).astype(np.int64)
            examples = np.diff(cuts, axis=1, prepend=0, append=sizes).sum(axis=0)
            if examples.min() >= self.minimum_examples:
                return cuts
        raise DataError(
            f"{_MOST_DRAWS} Dirichlet draws with alpha {self.alpha:g} of {sizes.sum()} examples for {clients} clients all left some client "
            f"with fewer than {self.minimum_examples}: raise alpha, lower minimum_examples, or take fewer clients or more examples"
        )


class Shards(Partition):
    """Every client has examples of exactly so many classes."""

    kind: Literal["shards"] = "shards"
    classes_per_client: Count
    """How many classes a client has; McMahan et al. used 2."""

    def split(self, targets: NDArray[Any], clients: int, streams: Streams, known: KnownOfClients = NOTHING_KNOWN) -> list[Indices]:
        """Every example is used; the numbers of clients that share a class differ by at most one."""
        check_enough(targets, clients, self.classes_per_client)
        generator = partition_stream(streams)
        by_class = examples_by_label(targets, generator)
        holders = self._holders(len(by_class), clients, generator)
        scarce = [(len(members), len(having)) for members, having in zip(by_class, holders, strict=True) if len(members) < len(having)]
        if scarce:
            raise DataError(
                f"a class of {scarce[0][0]} examples would be cut among {scarce[0][1]} clients: "
                "take fewer clients, a lower classes_per_client or more examples"
            )
        parts: list[list[Indices]] = [[] for _ in range(clients)]
        for members, having in zip(by_class, holders, strict=True):
            for client, piece in zip(having, np.array_split(members, len(having)), strict=True):
                parts[client].append(piece)
        return [np.sort(np.concatenate(pieces)) for pieces in parts]

    def _holders(self, classes: int, clients: int, generator: np.random.Generator) -> list[list[int]]:
        """The clients that have each class: a client takes the classes that the fewest have, ties at random."""
        wanted = self.classes_per_client
        if wanted > classes:
            raise DataError(f"classes_per_client is {wanted}, but the training examples have {classes} classes: lower it")
        if wanted * clients < classes:
            raise DataError(
                f"{clients} clients with {wanted} classes each leave {classes - wanted * clients} of {classes} classes to nobody: "
                f"classes_per_client must be at least {-(-classes // clients)} here, or the clients at least {-(-classes // wanted)}"
            )
        holders: list[list[int]] = [[] for _ in range(classes)]
        for client in range(clients):
            ties = generator.random(classes)
            for chosen in sorted(range(classes), key=lambda index: (len(holders[index]), ties[index]))[:wanted]:
                holders[chosen].append(client)
        return holders


class Sizes(Partition):
    """Unequal numbers of examples, as stated or with a log-normal spread; whose examples they are is random."""

    kind: Literal["sizes"] = "sizes"
    sizes: Annotated[tuple[Count, ...], Strict(False)] | Annotated[tuple[PositiveNumber, ...], Strict(False)] | None = None
    """One entry per client: whole numbers of examples, or shares of the training set that sum to at most 1."""
    sigma: PositiveNumber | None = None
    """Instead of `sizes`: sizes proportional to exp(sigma z), z standard normal, for any number of clients."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.sizes is None) == (self.sigma is None):
            raise ValueError("say either sizes (numbers or shares of examples, one per client) or sigma (a log-normal spread)")
        if self.sizes is not None and not self._counted() and sum(self.sizes) > 1 + _SHARES_TOLERANCE:
            raise ValueError(f"shares sum to {sum(self.sizes):g}: they may sum to at most 1; numbers of examples are whole")
        return self

    def split(self, targets: NDArray[Any], clients: int, streams: Streams, known: KnownOfClients = NOTHING_KNOWN) -> list[Indices]:
        """Every example is used by `sigma` and by shares that sum to 1; otherwise what is left over is nobody's."""
        check_enough(targets, clients)
        generator = partition_stream(streams)
        order = generator.permutation(len(targets))
        ends = self._ends(len(targets), clients, generator)
        return [np.sort(part) for part in np.split(order[: ends[-1]], ends[:-1])]

    def _ends(self, examples: int, clients: int, generator: np.random.Generator) -> Indices:
        if self.sigma is not None:
            return _log_normal_ends(self.sigma, examples, clients, generator)
        if self.sizes is None or len(self.sizes) != clients:
            raise DataError(f"sizes has {len(self.sizes or ())} entries for {clients} clients: give one per client")
        totals = np.cumsum(self.sizes)
        ends = totals if self._counted() else rounded(totals * examples)
        if ends[-1] > examples:
            raise DataError(f"sizes sum to {ends[-1]}, but there are {examples} training examples")
        if np.diff(ends, prepend=0).min() < 1:
            raise DataError(f"the smallest share, {min(self.sizes):g}, of {examples} examples is less than one example: raise it")
        return ends.astype(np.int64)

    def _counted(self) -> bool:
        return self.sizes is not None and all(isinstance(size, int) for size in self.sizes)


class Natural(Partition):
    """The data set itself says whose every example is (`client_train` in an npz file; the file that it comes from, in text)."""

    kind: Literal["natural"] = "natural"

    def split(self, targets: NDArray[Any], clients: int, streams: Streams, known: KnownOfClients = NOTHING_KNOWN) -> list[Indices]:
        """The n-th client has the examples of the n-th smallest number in `known.client_train`."""
        client_train = known.client_train
        if client_train is None:
            raise DataError(
                "this data set does not say whose its examples are: a natural partition needs an npz file with client_train, or kind text"
            )
        numbers = np.unique(client_train)
        if len(numbers) != clients:
            raise DataError(
                f"the data (client_train, or files of text) are those of {len(numbers)} clients, but the fleet has {clients} devices: "
                f"make the fleet's counts sum to {len(numbers)}"
            )
        return [np.flatnonzero(client_train == number) for number in numbers]


AnyPartition = Annotated[Iid | Dirichlet | Shards | Sizes | Natural | ByDeviceClass | WithReplacement, Field(discriminator="kind")]
"""The field type of a partition: one of the kinds above."""


def _log_normal_ends(sigma: float, examples: int, clients: int, generator: np.random.Generator) -> Indices:
    """Where the clients' examples end, `(clients,)`: one each, so that nobody is without, and the rest in proportion."""
    weights = np.exp(sigma * generator.standard_normal(clients))
    return np.arange(1, clients + 1) + rounded(np.cumsum(weights) / weights.sum() * (examples - clients))
