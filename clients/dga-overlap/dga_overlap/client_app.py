"""The thin half of a device: FedTiny's ClientApp that hands messages to the trainer beside its SuperNode. It imports no torch."""

from fedtiny.deployment.overlapping.client_app import app

__all__ = ["app"]
