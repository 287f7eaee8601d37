"""After Flower's secure aggregation: a masked sum in four stages, each with its own message type, one client failing."""
