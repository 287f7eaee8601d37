"""What learns: small networks, and the facts about their layers that everything else is computed from."""
