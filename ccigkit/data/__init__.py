"""Data sets: images with attributes, drawn or read."""
