"""The crossbars of one layer as arrays, and their reads: ideal, programmed with errors, noisy."""
