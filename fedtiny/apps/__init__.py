"""Any Flower app, unmodified, on a simulated fleet."""
