"""Cross-entropy of many clients and its gradients, in closed form: for tiny networks autograd's own work is most of theirs.

With logits z = W x + b of an example, share s of it in its client's mean, p = softmax(z) and target y (one-hot, or a distribution),

    dL/dz = s (p - y),    dL/dW = sum over the client's examples of dL/dz x^T,    dL/db = sum of dL/dz
"""

import torch
from torch import Tensor
from torch.nn import functional


def loss_and_gradient(logits: Tensor, targets: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy of each client, (clients,), and the gradient of their sum, as the logits are: with `shares` (clients,
    batch) for what an example counts, that is share * (softmax(logits) - target)."""
    scores = logits.detach()
    if targets.is_floating_point():
        every = functional.cross_entropy(scores, targets, reduction="none")
        gradient = torch.softmax(scores, 1) * targets.sum(1, keepdim=True) - targets
    else:
        logarithms, place = torch.log_softmax(scores, 1), targets.unsqueeze(1)
        every = -logarithms.gather(1, place).squeeze(1)
        gradient = logarithms.exp_().scatter_add_(1, place, torch.full_like(place, -1, dtype=scores.dtype))
    return (every.view_as(shares) * shares).sum(1), gradient * shares.view(-1, 1)


def put_head_gradients(rows: Tensor, of_logits: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Writes the gradients of a last linear layer to their places: `rows` (clients, batch, in) are its inputs, `of_logits` (clients,
    batch, out) the gradient of its outputs, `weight` (clients, out, in) and `bias` (clients, out) the places."""
    weight.copy_(torch.bmm(of_logits.transpose(1, 2), rows))
    if bias is not None:
        torch.sum(of_logits, 1, out=bias)
