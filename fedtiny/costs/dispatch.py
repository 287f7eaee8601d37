"""What torch starts in a training step beside the layers themselves, for devices whose `dispatched` is `operators`.

The rules of costs/compute.py count one operator for a layer and each of its gradients. Torch starts more, which decides how long small
networks take on fast machines, and `fedtiny calibrate` therefore measures and prices all of them:

| operators | how many |
|---|---|
| of a layer, forward | all that its forward pass starts: 1, but 7 where it standardises its weight, a few for each time step |
| for the gradient of its input | one (two for a product of two activations); of a recurrent layer as many as forward |
| for the gradients of its parameters | one, and three for every further one of its forward pass; of a recurrent layer as many as forward |
| between two layers (shortcuts, pooling, upsampling) | all, and as many backward where a gradient of what follows is wanted |
| of the update | two for every tensor that trains |

A convolution costs more to start where torch hands it to its library (oneDNN), which changes the order of values in memory, than where it
does without: it does without for a single example of few values, and for 1x1 convolutions of fewer than 16 examples (use_mkldnn in
aten/src/ATen/native/Convolution.cpp of torch 2, for one thread). So the rate of a convolution of one group is that of dense
convolutions where the library computes it and that of 1x1 convolutions, as a product of matrices, where it does not.
"""

from math import ceil
from typing import Final

from fedtiny.models.summary import LayerFacts, RateClass

OPERATORS_OF_AN_UPDATE: Final = 2
VALUES_OF_AN_UPDATE: Final = 3
"""Of every element that trains: the gradient and the old value are read, the new one is written."""
_FEW_VALUES: Final = 20480
_FEW_EXAMPLES: Final = 16


def started(layer: LayerFacts, inputs: float, own_trains: bool) -> int:
    """Operators that torch starts for a layer and before it; `inputs` are the passes for the gradients of its inputs, and
    `own_trains` says whether a parameter of it trains."""
    recurrent = layer.rate_class == "recurrent"
    backward = ceil(inputs) * (layer.operators if recurrent else 1)
    own = layer.operators if recurrent else 1 + 3 * (layer.operators - 1)
    return layer.between * (1 + (inputs > 0)) + layer.operators + backward + own_trains * own


def handed_over(layer: LayerFacts, inputs: float, own_trains: bool, batch_size: int) -> int:
    """How many passes over a layer torch hands to its library for convolutions."""
    return 1 + ceil(inputs) + own_trains if _has_library(layer, batch_size) else 0


def computed_as(layer: LayerFacts, batch_size: int) -> RateClass | None:
    """The class of operators at whose rate torch computes a layer with such a batch."""
    if layer.rate_class not in ("dense_convolution", "pointwise_convolution"):
        return layer.rate_class
    return "dense_convolution" if _has_library(layer, batch_size) else "pointwise_convolution"


def _has_library(layer: LayerFacts, batch_size: int) -> bool:
    if layer.operator != "convolution":
        return False
    if layer.rate_class == "pointwise_convolution" and batch_size < _FEW_EXAMPLES:
        return False
    return layer.groups > 1 or batch_size > 1 or layer.input_elements > _FEW_VALUES
