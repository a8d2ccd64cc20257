"""Objectives: what is minimised, phase by phase."""
