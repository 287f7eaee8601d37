"""Delayed gradient averaging that overlaps for real: a long-lived trainer, a thin ClientApp, and a server that asks again."""
