"""Which parameters train on a device."""
