"""How clients are trained: many in one pass, or one after the other, and how many make a package.

A fixed rule of network, update and sizes, never of this machine's clock, memory or number of workers, so that the same scenario gives
the same bytes everywhere. The resolved scenario states what was chosen, and `training.cohort` states it otherwise; `fedtiny calibrate
--cohorts` measures what suits a machine and prints the keys, which are then part of the scenario.

| network | execution |
|---|---|
| of the user's own code, with dropout, with a loss of its own, of integers, or with a trainable layer that has no form for many clients (recurrent ones, embeddings) | loop |
| more than `MOST_TRAINABLE` trainable elements | loop: there arithmetic counts, and a matrix of all clients' weights leaves the caches |
| so large activations that fewer than `FEWEST_CLIENTS` clients fit into `PASS_BYTES` | loop |
| others | vectorised, as many clients as fit into `PASS_BYTES`, at most `MOST_CLIENTS` |

A package of a loop is as many clients as have replies of `LOOP_BYTES` together, at least one and at most `LOOP_CLIENTS`: more would be
kept until they are read, in memory that the system has to find anew in every round.
"""  # noqa: E501

from typing import Annotated, Final, Literal

from pydantic import Field
from torch import nn

from fedtiny.models.summary import ModelSummary
from fedtiny.parts import Part
from fedtiny.training.client_layers import KINDS
from fedtiny.training.local import FlatNetwork

MOST_TRAINABLE: Final = 500_000
PASS_BYTES: Final = 400_000_000
"""Bytes that the activations, weights and gradients of a pass may take, estimated."""
MOST_CLIENTS: Final = 64
FEWEST_CLIENTS: Final = 4
LOOP_CLIENTS: Final = 16
LOOP_BYTES: Final = 8_000_000
"""Bytes of weights that a package of a loop keeps until they are read."""


class Cohort(Part):
    """How clients whose replies are due together are trained."""

    execution: Literal["vectorised", "loop"]
    """Many clients in one pass, or one after the other. Equal up to the order of sums."""
    clients: Annotated[int, Field(ge=1, le=100_000)]
    """Clients of a package: trained together, kept together in a journal, sent to one worker."""


def can_be_vectorised(flat: FlatNetwork) -> bool:
    """Whether every tensor that trains is one of a layer that has a form for many clients, and the rest treats every example alone."""
    network, names = flat.network, flat.layout.names
    modules = dict(network.named_modules())
    known = {name for name in names if isinstance(modules[name.rpartition(".")[0]], KINDS)}
    shared = len(list(network.named_parameters(remove_duplicate=False))) != len(list(network.named_parameters()))
    mixing = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase)
    alone = not any(isinstance(module, mixing) for module in modules.values())
    return known == set(names) and flat.own_loss is None and flat.factors is None and flat.storage is None and alone and not shared


def cohort_for(flat: FlatNetwork, summary: ModelSummary, batch_size: int, *, own_code: bool = False) -> Cohort:
    """The fixed rule; `batch_size` is the largest of a client's batches, `own_code` whether the network is the user's."""
    element = flat.weights.element_size()
    replies = LOOP_BYTES // max(1, element * flat.layout.elements)
    loop = Cohort(execution="loop", clients=max(1, min(replies, LOOP_CLIENTS)))
    if own_code or not can_be_vectorised(flat) or flat.layout.elements > MOST_TRAINABLE:
        return loop
    activations = sum(layer.input_elements + layer.output_elements for layer in summary.layers)
    clients = PASS_BYTES // (element * (batch_size * activations + 4 * flat.layout.elements))
    return loop if clients < FEWEST_CLIENTS else Cohort(execution="vectorised", clients=min(clients, MOST_CLIENTS))
