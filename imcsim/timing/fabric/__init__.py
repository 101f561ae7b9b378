"""The compiled chip of the burst fidelity: its layout in memory, its kernels, and what plays them."""
