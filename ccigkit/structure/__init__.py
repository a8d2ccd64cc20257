"""Structure learners: from the attribute table to a causal graph."""
