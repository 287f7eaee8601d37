"""What devices share: the server's connection, and access points; the simulation divides it fairly (simulation/shared_link.py)."""

from typing import Annotated, Final, final

from pydantic import Field

from fedtiny.parts import Part
from fedtiny.units import UNLIMITED, BytesPerSecond

SharedRate = Annotated[BytesPerSecond, Field(json_schema_extra={"default": "unlimited"})]


@final
class ServerLink(Part):
    """The server's connection as its clients see it: what all of them together can have at once."""

    downlink: SharedRate = UNLIMITED
    """Bytes per second from the server to all devices together."""
    uplink: SharedRate = UNLIMITED
    """Bytes per second from all devices together to the server."""


@final
class AccessPoint(Part):
    """A place where so many devices of a group share a connection, beyond their own: devices 0 to n - 1 the first, and so on."""

    devices: Annotated[int, Field(gt=0)]
    """How many devices share it."""
    downlink: SharedRate = UNLIMITED
    """Bytes per second to all of its devices together."""
    uplink: SharedRate = UNLIMITED
    """Bytes per second from all of its devices together."""


FREE_SERVER: Final = ServerLink()
"""A server that is never in the way."""
