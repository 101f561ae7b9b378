"""Results as figures for a paper."""
