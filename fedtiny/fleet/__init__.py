"""Who takes part: device and network profiles with their sources, and fleets made of them."""
