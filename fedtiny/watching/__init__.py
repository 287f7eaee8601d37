"""What somebody sees of a run or a sweep while it goes on: a bar on a terminal, lines elsewhere."""
