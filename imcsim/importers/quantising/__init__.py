"""From real weights, thresholds and leaks to integers."""
