"""Components: config fields, timing, energy, area and their sources, one to a file."""
