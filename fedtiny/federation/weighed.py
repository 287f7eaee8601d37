"""What a message's content says of itself and weighs, found once for all messages that share it."""

from dataclasses import dataclass

from flwr.app import RecordDict

from fedtiny.federation.records import isolated, message_bytes, payload_bytes, piece_of, round_of


@dataclass(frozen=True, slots=True)
class Weighed:
    """The content of a message as it was when it was pushed, its round, and what its records count."""

    content: RecordDict
    round: int
    piece: str
    bytes: int
    payload_bytes: int


def weigh(content: RecordDict) -> Weighed:
    """A content as it is now."""
    return Weighed(isolated(content), round_of(content), piece_of(content), message_bytes(content), payload_bytes(content))
