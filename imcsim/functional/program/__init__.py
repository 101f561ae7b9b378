"""A network as the integers that the chip computes with."""
