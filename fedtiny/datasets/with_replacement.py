"""Examples of a population's devices: each draws its own from the data set, with replacement, whatever the others draw.

A data set that is cut among a million devices leaves nothing to any of them, and a device more would change the shares of all. So
device i of a population has

    n = min(most, max(1, round(examples exp(sigma z))))    examples,  z ~ N(0, 1)
    q ~ Dir(alpha C p)                                     its own distribution of the C labels,

p being the shares of the labels in the data set; label by label, its examples are drawn from those of the data set with replacement.
That is [1], with alpha C for its concentration: where labels are equally frequent, q ~ Dir(alpha, ..., alpha), so alpha means what it
means for the partition `dirichlet`. Without alpha, every example is drawn from the whole data set (iid).

z, q and the examples depend on the seed, the group and the index of the device alone. A device may have an example twice, and two devices
may share one.

[1] Hsu, Qi, Brown: Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification,
arXiv:1909.06335, section 3.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fedtiny.datasets.partition_family import NOTHING_KNOWN, Indices, KnownOfClients, Partition, check_classes
from fedtiny.errors import DataError
from fedtiny.randomness import Streams

Floats = NDArray[np.float64]
MOST_EXAMPLES: Final = 10_000_000


class WithReplacement(Partition):
    """Every device draws its own examples with replacement: for populations."""

    kind: Literal["with_replacement"] = "with_replacement"
    examples: Annotated[int, Field(gt=0, le=MOST_EXAMPLES)]
    """How many examples the median device has."""
    sigma: Annotated[float, Field(ge=0, le=4)] = 0.0
    """Standard deviation of ln(number of examples) between devices; 0: all have as many."""
    most: Annotated[int, Field(gt=0, le=MOST_EXAMPLES)] | None = None
    """No device has more; left out: no bound but the distribution's own."""
    alpha: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Concentration of the devices' labels: 0.1 gives devices few labels, 100 nearly the same mixture; left out: iid."""

    def split(self, targets: NDArray[Any], clients: int, streams: Streams, known: KnownOfClients = NOTHING_KNOWN) -> list[Indices]:
        """Refused: nothing is split. Raises DataError."""
        raise DataError(
            "partition with_replacement lets every device of a population draw its own examples, and this fleet is one of groups: "
            "use iid, dirichlet or another kind, or fleet: {kind: population, ...}"
        )

    def numbers(self, normals: Floats) -> Indices:
        """How many examples devices with these normal numbers have, (devices,)."""
        exponents = np.minimum(self.sigma * normals, np.log(MOST_EXAMPLES))
        found = np.maximum(1, np.rint(self.examples * np.exp(exponents)))
        return np.asarray(np.minimum(found, self.most or MOST_EXAMPLES), dtype=np.int64)

    def source(self, targets: NDArray[Any]) -> "Source":
        """What the examples are drawn from. Raises DataError where labels are asked for and there are none."""
        if self.alpha is None:
            return Source(np.arange(len(targets)), None, None)
        check_classes(targets)
        order = np.argsort(targets, kind="stable")
        _, sizes = np.unique(targets, return_counts=True)
        return Source(order, sizes, self.alpha * sizes * len(sizes) / len(targets))


@dataclass(frozen=True, eq=False)
class Source:
    """A data set, examples of a label side by side."""

    order: Indices
    """Positions in the training set."""
    sizes: Indices | None
    """How many examples each label has; None where labels do not matter."""
    concentration: Floats | None
    """alpha C p of each label."""

    def draw(self, number: int, generator: np.random.Generator) -> Indices:
        """So many examples of one device: sorted positions in the training set, some perhaps twice."""
        if self.sizes is None or self.concentration is None:
            places = generator.integers(len(self.order), size=number)
        else:
            labels = generator.multinomial(number, generator.dirichlet(self.concentration))
            first = np.cumsum(self.sizes) - self.sizes
            places = np.repeat(first, labels) + generator.integers(np.repeat(self.sizes, labels))
        return np.sort(self.order[places])
