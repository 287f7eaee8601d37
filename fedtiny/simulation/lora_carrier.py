"""The LoRa radio of one device (fleet/lora.py): one message at a time in either direction, packet by packet, when the channel is open."""

from typing import cast

from fedtiny.fleet.lora import LoRa
from fedtiny.simulation.agenda import Agenda, Appointment, Stage


class LoRaChannel:
    """What both directions of a device share: when the channel is open for it again."""

    __slots__ = ("agenda", "lora", "opens")

    def __init__(self, agenda: Agenda, lora: LoRa) -> None:
        self.agenda, self.lora, self.opens = agenda, lora, 0.0


class LoRaCarrier:
    """One direction: a `Carrier` whose transfers occupy the link from when they ask for the channel to the end of their last packet."""

    __slots__ = ("_begun", "_channel", "_ending", "_opens", "_size", "_up")

    def __init__(self, channel: LoRaChannel, *, up: bool) -> None:
        self._channel, self._up = channel, up
        self._ending: Appointment | None = None
        self._begun = self._opens = 0.0
        self._size = 0

    def begin(self, size: int, rate: float, passenger: object, done: Stage) -> float:
        """See `Carrier`; a rate has no say in it."""
        channel, lora = self._channel, self._channel.lora
        now = channel.agenda.environment.now
        self._size, self._begun = size, max(now, channel.opens)
        end = self._begun + lora.seconds(size, up=self._up)
        channel.opens = self._opens = end + lora.closed(size, up=self._up)
        self._ending = channel.agenda.appoint(end - now, passenger, done)
        return end

    def stop(self) -> int:
        """See `Carrier`; a packet that is cut was sent in vain. The channel stays closed as if the message had been sent up to there."""
        cast(Appointment, self._ending).call_off()
        channel, left = self._channel, self._size - self.sent()
        # unless the other direction waits for the channel to open when it was planned to
        if left and channel.opens == self._opens:
            period, passed = channel.lora.period(up=self._up), channel.agenda.environment.now - self._begun
            channel.opens = self._begun if passed < 0.0 else min(self._opens, self._begun + (passed // period + 1.0) * period)
        return left

    def sent(self) -> int:
        """See `Carrier`."""
        return self._channel.lora.sent(self._size, self._channel.agenda.environment.now - self._begun, up=self._up)
