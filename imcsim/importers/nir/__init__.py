"""Reads NIR files."""
