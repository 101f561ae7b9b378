"""Folds the layers of a file into the chip's kind of network, with real weights."""
