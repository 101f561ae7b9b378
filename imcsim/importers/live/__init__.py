"""From a module of PyTorch that lives in the user's own process to a network.

The only modules of the package, besides the child process that opens state dicts, that import torch; nothing
loads them but `imcsim.from_torch` and what shows tensors to a network.
"""
