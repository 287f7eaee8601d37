"""What several theory tests share: torch's own count of multiply-accumulates."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class CountedMacs(TorchDispatchMode):
    """Counts the multiply-accumulates of the convolutions and matrix products that torch runs."""

    def __init__(self):
        super().__init__()
        self.macs = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.convolution.default:
            self.macs += _convolution(result, args[1])
        elif function is torch.ops.aten.convolution_backward.default:
            input_gradient, weight_gradient, _ = args[10]
            self.macs += (input_gradient + weight_gradient) * _convolution(args[0], args[2])
        elif function in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            left, right = args[-2:]
            self.macs += left.shape[0] * left.shape[1] * right.shape[1]
        return result


def _convolution(output, weight):
    return output.numel() // output.shape[1] * weight.numel()


@pytest.fixture
def counted_macs():
    """The class whose `with` counts what torch runs inside it."""
    return CountedMacs
