"""Results as tables for a terminal or a log file."""
