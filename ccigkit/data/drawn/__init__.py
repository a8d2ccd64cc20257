"""Data sets that are drawn here, with known truth."""
