"""Networks that look at pictures for metrics, trained once and kept."""
