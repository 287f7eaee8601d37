"""LoRa: how long a packet is on the air, and how long the channel is closed for the device after it.

Time on air (Semtech AN1200.13, LoRa Modem Designer's Guide, section 4; SX1276 datasheet, section 4.1.1.7): with T = 2^SF / bandwidth,

    symbols = 8 + max(0, ceil((8 P - 4 SF + 28 + 16) / (4 (SF - 2 DE)))) (CR + 4),    airtime = (preamble + 4.25 + symbols) T

for P bytes on the air, a CRC and an explicit header, and DE = 1 where a symbol lasts 16 ms or more (SF11 and SF12 at 125 kHz). Of the P
bytes `header` are LoRaWAN's own: 13 without options (LoRaWAN specification 1.0.3, section 4).

By its duty cycle d a device that was on the air for t seconds stays off it for t (1/d - 1) seconds (ETSI EN 300 220: 1 % in most of the
European band), so that packets begin t / d apart.

Devices of **class A** listen only in a window that opens `receive_delay` after each of their own packets: every packet down is fetched with
an empty packet up, and the gateway, which obeys the duty cycle too, answers with one packet at most.
"""

from math import ceil
from typing import Annotated, Final, final

from pydantic import Field, Strict

from fedtiny.parts import Part
from fedtiny.units import Seconds

_LONG_SYMBOL: Final = 0.016
_PREAMBLE: Final = 8 + 4.25


@final
class LoRa(Part):
    """A LoRa radio of class A and its channel; in place of rates."""

    spreading_factor: Annotated[int, Strict(False), Field(ge=7, le=12)]
    """SF: a symbol lasts 2^SF / bandwidth."""
    payload: Annotated[int, Strict(False), Field(gt=0, le=242)]
    """Bytes of a message that one packet carries, at most."""
    duty_cycle: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Share of time that a sender may be on the air."""
    bandwidth: Annotated[float, Field(gt=0)] = 125e3
    """Hertz."""
    coding_rate: Annotated[int, Field(ge=1, le=4)] = 1
    """CR: 4 bits are sent as 4 + CR."""
    header: Annotated[int, Field(ge=0)] = 13
    """Bytes that each packet carries besides."""
    receive_delay: Seconds = 1.0
    """Seconds from the end of a packet up until the window for the answer opens."""

    def airtime(self, size: int) -> float:
        """Seconds on the air of one packet that carries `size` bytes of a message."""
        symbol = 2.0**self.spreading_factor / self.bandwidth
        bits = 8 * (size + self.header) - 4 * self.spreading_factor + 44
        per_block = 4 * (self.spreading_factor - (2 if symbol >= _LONG_SYMBOL else 0))
        return (_PREAMBLE + 8 + max(0, ceil(bits / per_block)) * (self.coding_rate + 4)) * symbol

    def packets(self, size: int) -> tuple[int, int]:
        """Into how many packets a message of `size` bytes is cut (at least one), and how many bytes the last of them carries."""
        full = max(0, ceil(size / self.payload) - 1)
        return full + 1, size - full * self.payload

    def period(self, *, up: bool) -> float:
        """Seconds from the beginning of one full packet to that of the next."""
        whole = self.airtime(self.payload)
        if up:
            return whole / self.duty_cycle
        fetch = self.airtime(0)
        return max(fetch / self.duty_cycle, whole / self.duty_cycle, fetch + self.receive_delay + whole)

    def seconds(self, size: int, *, up: bool) -> float:
        """Seconds from the beginning of the first packet of a message of `size` bytes to the end of its last one."""
        count, last = self.packets(size)
        before = 0.0 if up else self.airtime(0) + self.receive_delay
        return (count - 1) * self.period(up=up) + before + self.airtime(last)

    def closed(self, size: int, *, up: bool) -> float:
        """Seconds for which the channel stays closed for the device after a message of `size` bytes."""
        if up:
            return self.airtime(self.packets(size)[1]) * (1 / self.duty_cycle - 1)
        last = self.airtime(self.packets(size)[1])
        return max(0.0, max(self.airtime(0), last) / self.duty_cycle - self.airtime(0) - self.receive_delay - last)

    def sent(self, size: int, seconds: float, *, up: bool) -> int:
        """Bytes of a message of `size` bytes that have been sent whole packets of, so many seconds after it began."""
        count = self.packets(size)[0]
        before = 0.0 if up else self.airtime(0) + self.receive_delay
        if seconds >= self.seconds(size, up=up):
            return size
        whole = int((seconds - before - self.airtime(self.payload)) // self.period(up=up)) + 1
        return max(0, min(whole, count - 1)) * self.payload
