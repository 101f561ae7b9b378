"""Components: config fields, timing, energy, area and their sources, a family to a file."""
