"""The trackers that come along; each needs an extra of its name."""
