"""Tiles and mesh as SimPy processes and resources: the reference fidelity, and burst where it is recorded."""
