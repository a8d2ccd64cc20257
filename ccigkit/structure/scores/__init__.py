"""Scores and tests that learners search with."""
