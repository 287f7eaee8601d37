"""Of how many requests, one after the other, a message of a serial device consists.

A `serial` device is a node that pulls a message, runs it and pushes the reply, one after the other. A stock Flower SuperNode is one:
in Flower 1.41 (flwr/supernode/start_client_internal.py) it sleeps 3 s when there is no message, and starts a new process for each
message. On a quiet x86 machine with two cores, from one reply to the next of four messages that were queued, we measured 2.9 to 4.0 s
with a ClientApp that imports torch and 1.7 to 2.1 s with one that does not; a simulation with `polling_interval: 3 s` and
`start_up: 4.2 s` came within 5 % of the time of a real federation of two SuperNodes (36.8 s for 35.2 s, 57.8 s for 54.9 s).
On a Raspberry Pi the same imports take several times as long. Flower makes several requests for every message, one after the other
but for two at a time, each of which takes a round trip: `requests`. Counted in a relay between SuperNode and SuperLink (Flower 1.41,
one flat array a message): to look, four for what the message holds and one to confirm it; to announce the reply and four for what it
holds, and one more where the connection has been closed because it was idle for 5 s, as during most training.
"""

from typing import Annotated, final

from pydantic import Field

from fedtiny.parts import Part
from fedtiny.units import Seconds


@final
class Requests(Part):
    """Round trips that a serial runtime makes one after the other, as a stock Flower SuperNode does.

    Between a look that finds a message and the beginning of its work lie ``2 download - 1`` latencies, the answer to the look and what
    else is fetched; `start_up` begins with that answer, and only what is left of it then comes after. Between the end of the work and its
    reply at the server lie ``2 upload - 1`` latencies. The next look reaches the server two latencies after the reply has, and later ones
    a polling interval and two latencies after each other.
    """

    download: Annotated[int, Field(ge=1, le=100)] = 1
    """Requests to fetch a message, the look among them."""
    upload: Annotated[int, Field(ge=1, le=100)] = 1
    """Requests to send a reply."""
    turnaround: Annotated[Seconds, Field(json_schema_extra={"default": "0 s"})] = 0.0
    """Seconds that the server takes from the last reply of a round to the next message: a look that comes sooner finds nothing."""
