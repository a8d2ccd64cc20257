"""The structure learners that come along."""
