"""How a tiny network and its update are made."""
