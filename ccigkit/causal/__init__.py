"""The causal model: attributes, the graph over them, the mechanisms along it. It knows nothing of images."""
