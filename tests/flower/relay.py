"""A relay between a SuperNode and its SuperLink that delays every byte by so long, each way, and lets so many through in a second.

    python tests/flower/relay.py --listen 9000 --to 8000 --delay 0.3 --rate 1e6

Bytes keep their order. A piece that has been read is passed on `delay` seconds later, or when the link has passed all before it at `rate`
bytes a second, if that is later. A connection is opened at the other end `delay` seconds after it was asked for, as the handshake would
take; that is what a kernel does with `netem`, but for packets and their loss.
"""

import argparse
import asyncio
import contextlib
import time

PIECE = 16384


class Link:
    """One direction between two machines: all connections share its rate."""

    def __init__(self, delay, rate):
        self.delay, self.rate = delay, rate
        self.free_at = 0.0

    def due(self, count):
        """When so many bytes, which are there now, have come through."""
        now = time.monotonic()
        if self.rate is not None:
            self.free_at = max(now, self.free_at) + count / self.rate
            now = self.free_at
        return now + self.delay


async def carry(reader, writer, link):
    """Carries one direction of a connection to its end."""
    queue = asyncio.Queue(maxsize=4096)

    async def deliver():
        while (item := await queue.get()) is not None:
            due, piece = item
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            writer.write(piece)
            await writer.drain()

    task = asyncio.ensure_future(deliver())
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(PIECE):
            await queue.put((link.due(len(piece)), piece))
        await asyncio.sleep(link.delay)
        await queue.put(None)
        await task
    task.cancel()
    with contextlib.suppress(ConnectionError, OSError):
        writer.close()
        await writer.wait_closed()


async def relay(listen, to, delay, rate):
    """Relays until it is cancelled."""
    up, down = Link(delay, rate), Link(delay, rate)

    async def connected(reader, writer):
        await asyncio.sleep(2 * delay)  # the handshake goes there and back before a byte is sent
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, there_writer, up), carry(there_reader, writer, down))

    server = await asyncio.start_server(connected, "127.0.0.1", listen)
    async with server:
        await server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", type=int, required=True, help="port on this machine")
    parser.add_argument("--to", type=int, required=True, help="port of the SuperLink on this machine")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds, one way")
    parser.add_argument("--rate", type=float, help="bytes a second, each way; left out: unlimited")
    words = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(relay(words.listen, words.to, words.delay, words.rate))


if __name__ == "__main__":
    main()
