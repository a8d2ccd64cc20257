"""The structure benchmark of the docs: our learners beside the peers that install from the package index."""
