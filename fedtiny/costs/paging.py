"""What training costs on a device that pages: seconds and joules of waiting for storage.

Of a step that needs E bytes more than the device's budget, each of those bytes is written once and read back once (fleet/limits.py):

    E = max(0, needed - memory)        seconds = E / write + E / read        joules = seconds * watts while paging
"""

from fedtiny.costs.energy import Quantity, compute_energy
from fedtiny.fleet.device import DeviceProfile


def paged_bytes(needed: int, device: DeviceProfile) -> int:
    """Bytes that a step puts out of a device's memory and back, of a step that needs so many; 0 where it does not page."""
    return 0 if device.paging is None else max(0, needed - int(device.memory))


def paging_seconds(needed: int, device: DeviceProfile) -> float:
    """Seconds that a step waits for storage which needs so many bytes of memory."""
    paging, paged = device.paging, paged_bytes(needed, device)
    return 0.0 if paging is None or not paged else paged / paging.write + paged / paging.read


def paging_energy(device: DeviceProfile, seconds: Quantity) -> Quantity | None:
    """Joules of waiting for storage for so many seconds; None where the device's power is not known."""
    if device.power is None or device.paging is None or device.paging.power is None:
        return compute_energy(device.power, seconds)
    return device.paging.power * seconds
