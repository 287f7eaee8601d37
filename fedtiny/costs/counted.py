"""What work takes that was counted operation by operation while it ran, and not foreseen from a network's layers.

    seconds = sum over classes ( forward MACs / rate + backward MACs * backward factor / rate )
              + operations * dispatch overhead + groups * group overhead

The rates are those of costs/compute.py; operations are the products and convolutions themselves, forward and backward. What bounds a layer
by its bytes is not known of counted work, and so left out. On a device with a `step_time`, a step of an optimizer takes that.
"""

from fedtiny.costs.compute import rate_of
from fedtiny.fleet.device import DeviceProfile
from fedtiny.models.counted_work import CountedWork


def counted_seconds(work: CountedWork, device: DeviceProfile) -> float | None:
    """Virtual seconds of the work on a device, of median speed and cool; None where what was counted says nothing about that."""
    if device.step_time is not None:
        return work.steps * device.step_time if work.steps else None
    if not work.macs:
        return None
    assert device.rates is not None, "a device profile has rates or a step time"
    rates, slower = device.rates, device.backward_factor
    forward = sum(macs / rate_of(rates, kind) for kind, macs in work.forward.items())
    backward = sum(macs * float(getattr(slower, kind)) / rate_of(rates, kind) for kind, macs in work.backward.items())
    return forward + backward + work.operations * device.dispatch_overhead + work.groups * device.group_overhead
