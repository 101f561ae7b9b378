"""imcsim: cycle-level simulation of in-memory-computing hardware for spiking neural networks.

The package imports nothing heavy by itself; see the modules named in README for the Python interface.
"""

__version__ = "0.1.0"
