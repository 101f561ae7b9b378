"""Reads files of bare tensors with the help of a layer list."""
