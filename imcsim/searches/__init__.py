"""Searches: which chips and thresholds are the best trades of energy, latency, area and accuracy.

`load_search` reads a spec, `search` runs it and returns the store of its points; ``store.front()`` is the
Pareto front.
"""

from imcsim.searches.searching import search
from imcsim.searches.spec import Search, load_search

__all__ = ["Search", "load_search", "search"]
