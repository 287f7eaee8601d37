"""TinyTL with federated or delayed averaging, as a Flower app."""
