"""A layer of long short-term memory, written out over the time steps.

With x_t the input and h_t, c_t the state and the cell after step t, both 0 before the first (sigma: sigmoid, *: element by element)

    i, f, g, o = split( W_ih x_t + b + W_hh h_{t-1} )
    c_t = sigma(f) * c_{t-1} + sigma(i) * tanh(g)
    h_t = sigma(o) * tanh(c_t)

the gates in this order, as in torch.nn.LSTM, but with one bias, since the two of torch.nn.LSTM are only ever added.

It is plain torch operations, because the fused layer keeps a workspace of unknown size and all it needs for every gradient, whatever
trains. Here autograd keeps, per sample and time step, with E inputs and H units,

| what | elements | if |
|---|---|---|
| i, f, g, o, c_{t-1}, tanh(c_t) | 6 H | anything in the layer or before it trains |
| h_{t-1} | H | W_hh trains |
| x_t | E | W_ih trains |

so a bias costs the gates (back-propagation through time needs them) but neither states nor inputs. TinyTL's accounting, which
knows no recurrent layers, counts the inputs only (costs/memory.py says so), so there a bias seems to cost nothing.

Citation: Hochreiter, Schmidhuber: Long Short-Term Memory. Neural Computation 9(8), 1997; with the forget gate of Gers, Schmidhuber,
Cummins: Learning to Forget. Neural Computation 12(10), 2000.
"""

import torch
from torch import Tensor, nn

_GATES = 4


class Lstm(nn.Module):
    """One layer. Of the inputs (batch, steps, input_size) it makes the last state (batch, hidden_size), or with `sequence` the
    states of all steps (batch, steps, hidden_size). Its parameters have no values yet: `initialization.initialize` draws them."""

    def __init__(self, input_size: int, hidden_size: int, *, sequence: bool) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.sequence = sequence
        self.weight_ih = nn.Parameter(torch.empty(_GATES * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(_GATES * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(_GATES * hidden_size))

    @property
    def forget_bias(self) -> Tensor:
        """The forget gate's part of the bias, shape (hidden_size,)."""
        return self.bias[self.hidden_size : 2 * self.hidden_size]

    def forward(self, inputs: Tensor) -> Tensor:
        """The last state, or the states of all steps."""
        state, cell = (inputs.new_zeros(len(inputs), self.hidden_size) for _ in range(2))
        recurrent = self.weight_hh.t()
        states = []
        # one product for all steps; unbind, because the gradient of every single index would be as large as the whole
        for projected in nn.functional.linear(inputs, self.weight_ih, self.bias).unbind(1):
            entry, forget, candidate, exit_ = torch.addmm(projected, state, recurrent).chunk(_GATES, dim=1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(entry) * torch.tanh(candidate)
            state = torch.sigmoid(exit_) * torch.tanh(cell)
            if self.sequence:
                states.append(state)
        return torch.stack(states, dim=1) if self.sequence else state
