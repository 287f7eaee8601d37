"""How the server combines: strategies on any Flower Grid."""
