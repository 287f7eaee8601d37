"""How time passes: SimPy devices and links; no learning, no Flower."""
