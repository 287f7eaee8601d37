"""A character-level recurrent network: embedding, one or more LSTM layers, and a linear head on the last state.

It predicts the character that follows a sequence, as LEAF's model for Shakespeare does, which is {embedding: 8, hidden: 256, layers: 2}
on sequences of 80 characters; FedTiny's default fits smaller devices. Characters come as their indices, in floating-point numbers like
every input, exact up to 2^24. There is no normalisation, so norm_last trains the head alone, and nowhere to attach a lite residual module.

Citation: Caldas et al.: LEAF: A Benchmark for Federated Settings. arXiv 1812.01097, 2018, after McMahan et al.:
Communication-Efficient Learning of Deep Networks from Decentralized Data. AISTATS 2017, section 3.
"""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fedtiny.errors import ModelError
from fedtiny.models.base import Inputs, Model, refuse_lite_residual
from fedtiny.models.initialization import empty_linear, initialize
from fedtiny.models.lstm import Lstm

_LARGEST = 4096


class CharLstm(Model):
    """Embedding, LSTM layers and a linear head on the last state; for data of kind text."""

    kind: Literal["char_lstm"] = "char_lstm"
    takes: ClassVar[Inputs] = "characters"
    embedding: Annotated[int, Field(gt=0, le=_LARGEST)] = 8
    """Numbers that stand for a character."""
    hidden: Annotated[int, Field(gt=0, le=_LARGEST)] = 64
    """Units of an LSTM layer."""
    layers: Annotated[int, Field(gt=0, le=8)] = 1
    """LSTM layers."""

    def build(self, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, generator: torch.Generator) -> nn.Module:
        """The network for sequences of `classes` characters, shape (1, 1, characters).

        Raises ModelError for another shape, or if lite residual modules are asked for.
        """
        refuse_lite_residual(self.kind, lite_residual)
        if input_shape[:2] != (1, 1):
            raise ModelError(
                f"char_lstm reads a sequence of characters, of shape (1, 1, characters), found {input_shape}: use data: {{kind: text}}, "
                "or small_cnn for images"
            )
        network = CharacterNetwork(classes, self.embedding, self.hidden, self.layers)
        initialize(network, generator)
        return network

    def wants_lite_residual(self, update_trains_lite: bool) -> bool:
        """No; ModelError where the update trains them."""
        return refuse_lite_residual(self.kind, update_trains_lite)


class CharacterNetwork(nn.Module):
    """The layers, without initial values."""

    def __init__(self, characters: int, embedding: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, embedding, _weight=torch.empty(characters, embedding))
        sizes = [embedding, *[hidden] * layers]
        self.lstm = nn.Sequential(*(Lstm(sizes[layer], hidden, sequence=layer < layers - 1) for layer in range(layers)))
        self.head = empty_linear(hidden, characters)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (batch, characters) of the character that follows; inputs (batch, ..., steps) are indices of characters."""
        logits: Tensor = self.head(self.lstm(self.embedding(inputs.flatten(1).long())))
        return logits
