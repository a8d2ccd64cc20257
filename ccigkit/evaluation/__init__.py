"""Evaluation: models measured metric by metric, and what is made of the figures: tables, JSON, a page."""

from ccigkit.evaluation.measure import Estimate, Evaluation, Found, MetricResult, evaluate, pooled

__all__ = ["Estimate", "Evaluation", "Found", "MetricResult", "evaluate", "pooled"]
