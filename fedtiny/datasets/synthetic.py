"""Images that are made: a class is a mean image, an example is its class's mean plus noise.

The mean of a class is drawn on a grid of 4 x 4 standard normal numbers per channel, enlarged bilinearly, so that
neighbouring pixels are alike and a convolution has something to find; an example adds independent normal noise:

    x = mu_y + noise * z,    z ~ N(0, I).

For noise -> 0 the classes are apart; for a large noise they overlap, and no classifier is perfect. Classes are as
equally frequent as the numbers allow. Everything is drawn from the scenario's seed.
"""

from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from fedtiny.datasets.base import Data, Dataset, DatasetFacts, Examples, prepare
from fedtiny.datasets.images import Floats, change_images
from fedtiny.datasets.partition_family import Count
from fedtiny.randomness import Streams

SOURCE: Final = "Made by FedTiny: Gaussian noise around one smooth random mean image per class."
_GRID: Final = 4


class Synthetic(Data):
    """Gaussian classes: as many examples, classes and pixels as wanted, made from the seed."""

    kind: Literal["synthetic"] = "synthetic"
    classes: Annotated[int, Field(ge=2, le=100_000)] = 10
    """Number of classes."""
    examples: Count = 2000
    """Number of training examples."""
    test_examples: Count = 500
    """Number of test examples."""
    image_size: Annotated[int, Field(gt=0, le=4096)] = 8
    """Pixels a side."""
    channels: Annotated[int, Field(gt=0, le=4096)] = 1
    """Channels of an image."""
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Standard deviation of the noise on every pixel; the mean images have about 0.6."""

    def facts(self) -> DatasetFacts:
        """What the scenario says; nothing is made."""
        return DatasetFacts("synthetic", (self.channels, self.image_size, self.image_size), self.classes, native_resolution=self.image_size)

    def load(self, streams: Streams) -> Dataset:
        """Images `(examples, channels, image_size, image_size)` in float32, and their classes."""
        grid = streams.numpy("data", "synthetic", "means").standard_normal((self.classes, self.channels, _GRID, _GRID), dtype=np.float32)
        means = change_images(grid, self.image_size, None)
        train = self._draw(means, self.examples, streams.numpy("data", "synthetic", "train"))
        test = self._draw(means, self.test_examples, streams.numpy("data", "synthetic", "test"))
        return prepare(self, self.facts(), train, test, streams, SOURCE)

    def _draw(self, means: Floats, examples: int, generator: np.random.Generator) -> Examples:
        targets = generator.permutation(np.arange(examples) % self.classes)
        inputs = generator.standard_normal((examples, *means.shape[1:]), dtype=np.float32)
        inputs *= np.float32(self.noise)
        inputs += means[targets]
        return Examples(inputs, targets.astype(np.int64))
