"""Structural causal models over the latent."""
