"""Evaluation: models measured metric by metric, and what is made of the figures: tables, JSON, a page."""

from ccigkit.evaluation.measure import Estimate, Evaluation, Found, evaluate, pooled

__all__ = ["Estimate", "Evaluation", "Found", "evaluate", "pooled"]
