"""Metrics: what a trained model got right, beside its controls."""
