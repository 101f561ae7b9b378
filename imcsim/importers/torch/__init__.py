"""Reads PyTorch state dicts and safetensors files."""
