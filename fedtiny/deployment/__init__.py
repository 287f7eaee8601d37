"""Real nodes: a scenario as a Flower app for them, what starts them, and the trainer that works while messages travel."""
