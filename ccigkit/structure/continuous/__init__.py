"""Graphs by continuous optimisation."""
