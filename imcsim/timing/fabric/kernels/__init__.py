"""Tiles and mesh between two verdicts, compiled: rows, packets, links and buffers on one wheel of cycles.

Says the same as the processes of ``part``, ``burst`` and ``mesh``, cycle for cycle; a module for each thing
on the chip. Within a cycle what happens first comes to rest; then links decide among the packets that ask for
them. `cycles` plays. `records` says what stands where in the memory that all of them share; the others import
it as ``k``, so that ``m[part + k.P_ROWS]`` reads a field of a record.
"""
