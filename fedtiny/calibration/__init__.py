"""Measures this machine: how fast it takes training steps of networks of our own, and what profile of a device explains that."""
