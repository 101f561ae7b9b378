"""The version of the package: what results, stores and files name as their maker."""

__version__ = "0.1.0"
