"""FedTiny simulates federated on-device learning: learning is real, time is virtual."""
