"""The relay against what a link of this delay and rate does to a ping and to a transfer."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

RELAY = Path(__file__).with_name("relay.py")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def through():
    """Starts an echo and a relay before it; gives a connection."""
    started, listeners = [], []

    def connect(delay, rate=None):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        port = free_port()
        words = ["--listen", str(port), "--to", str(listener.getsockname()[1]), "--delay", str(delay)]
        started.append(subprocess.Popen([sys.executable, RELAY, *words, *(["--rate", str(rate)] if rate else [])]))
        for _ in range(200):
            try:
                return socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise AssertionError("the relay did not start")

    yield connect
    for process in started:
        process.kill()
        process.wait()
    for listener in listeners:
        listener.close()


def echo(listener):
    try:
        connection, _ = listener.accept()
        with connection:
            while piece := connection.recv(65536):
                connection.sendall(piece)
    except OSError:
        return


def exchange(connection, data):
    """Sends and reads back; the seconds that it took."""
    start, back = time.monotonic(), b""
    thread = threading.Thread(target=connection.sendall, args=(data,))
    thread.start()
    while len(back) < len(data):
        back += connection.recv(65536)
    thread.join()
    assert back == data
    return time.monotonic() - start


@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_a_ping_takes_the_delay_there_and_back(through, delay):
    with through(delay) as connection:
        exchange(connection, b"first")  # waits for the connection too
        seconds = min(exchange(connection, b"ping") for _ in range(3))
    assert 2 * delay <= seconds < 2 * delay + 0.15


def test_a_transfer_takes_its_bytes_over_the_rate(through):
    data = bytes(range(256)) * 800
    with through(0.1, rate=200_000) as connection:
        exchange(connection, b"first")
        seconds = exchange(connection, data)
    # the second link begins when the first piece is there, so both ways take little longer than one
    assert len(data) / 200_000 + 0.2 <= seconds < len(data) / 200_000 + 0.6


def test_bytes_keep_their_order_through_many_pieces(through):
    data = b"".join(number.to_bytes(4, "big") for number in range(100_000))
    with through(0.02) as connection:
        assert exchange(connection, data) < 2.0
