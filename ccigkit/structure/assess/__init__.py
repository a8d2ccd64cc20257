"""How good, and how sure, a learned graph is."""
