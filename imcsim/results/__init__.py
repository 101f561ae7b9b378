"""Results: one module for each document, and the statistics of its figures."""
