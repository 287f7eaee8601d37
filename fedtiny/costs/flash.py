"""What keeping a model wears of the flash that it is kept in.

When a round's training is done, a device writes the weights that it trained to where they were, in one piece. Flash is erased in
blocks, so for B bytes of weights in blocks of b bytes it erases

    ceil(B / b) blocks a round        and uses 1 / endurance of the cycles of each of them,

without wear levelling. Spread evenly over n times as many blocks, each of them would use an n-th of that.
"""


def blocks_of(size: int, erase_block: float) -> int:
    """How many erase blocks so many bytes in one piece take, which begins with a block."""
    return -(-size // int(erase_block))


def endurance_used(times: int, endurance: float) -> float:
    """The share of its erase cycles that a block has used up which was erased so many times."""
    return times / endurance
