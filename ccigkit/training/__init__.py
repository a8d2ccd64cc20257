"""Training: batches, devices, and the one loop."""
