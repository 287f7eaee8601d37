"""Delayed gradient averaging on handwritten digits, as a Flower app."""
