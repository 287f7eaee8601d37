"""How a client learns."""
