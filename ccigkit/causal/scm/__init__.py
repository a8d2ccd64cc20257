"""Structural causal models."""
