"""From a file with trained weights to a network, and the proof of what the way did to it."""
