"""What training costs a device: memory, time and energy, as pure functions of torch-free facts."""
