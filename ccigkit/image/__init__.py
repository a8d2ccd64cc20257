"""Image mechanisms: how a picture follows from its attributes and the rest of it."""
