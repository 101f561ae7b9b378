"""What every floor may use: errors, names, choices, files and compiled kernels. Imports nothing above it."""
