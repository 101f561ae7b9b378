"""Estimators: energy and area from node, size and bit width, each rule with its source.

They know nothing of configs or components. Marks in the docstrings are those of the hardware files (paper,
code, 2nd, est, derived); whatever an estimator returns is itself ``derived``.
"""
