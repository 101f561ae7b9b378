"""What can happen on the chip: the vocabulary of the ledger.

The engine and the activity count events, as integers, by layer and timestep. Components say what an event
costs them.
"""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    """One kind of happening. Events that end in ``_bits`` count bits moved; the others count occurrences."""

    IMAGE_BITS = "image_bits"
    """Image bits brought onto the chip, once for each inference."""
    RESULT_BITS = "result_bits"
    """Bits of class outputs written to the DRAM, once for each inference; only where there is a DRAM."""
    WEIGHT_BITS = "weight_bits"
    """Bits of weights that are brought from the DRAM at every load of a group of layers (see
    components.reload), once for all copies of a layer.
    """
    CELL_WRITES = "cell_writes"
    """Cells written at these loads."""
    STORED_BITS = "stored_bits"
    """Bits of rows between groups that go to the DRAM or come back, where they wait there."""
    GLOBAL_BUFFER_WRITE_BITS = "global_buffer_write_bits"
    GLOBAL_BUFFER_READ_BITS = "global_buffer_read_bits"
    FLIT_HOPS = "flit_hops"
    """Flits times routers passed."""
    TILE_BUFFER_WRITE_BITS = "tile_buffer_write_bits"
    TILE_BUFFER_READ_BITS = "tile_buffer_read_bits"
    NOC_CURRENT_BITS = "noc_current_bits"
    """Payload bits of partial sums, currents and class outputs times the length of their links, in sides of a
    tile: on a mesh, routers passed.
    """
    NOC_VALUE_BITS = "noc_value_bits"
    """Payload bits of pixels and spikes times the length of their links."""
    PACKAGE_BITS = "package_bits"
    """Bits of flits over links between chips, once for each link; only where a package has several chips."""
    NOC_TOGGLES = "noc_toggles"
    """Of the value bits, those that differ from the ones before on the same wires."""
    HTREE_TOGGLES = "htree_toggles"
    """Input bits on the tree that differ from the ones before on the same wires."""
    HTREE_SUM_BITS = "htree_sum_bits"
    """Partial sums coming back over the tree."""
    HTREE_BITS = "htree_bits"
    """Input bits going out on the tree from the tile buffer to the PEs."""
    PE_BUFFER_WRITE_BITS = "pe_buffer_write_bits"
    PE_BUFFER_READ_BITS = "pe_buffer_read_bits"
    INPUT_REGISTER_BITS = "input_register_bits"
    """Wordline bits latched, in every crossbar that reads them."""
    PE_CYCLES = "pe_cycles"
    """One output position processed by one PE (SpikeSim's unit of energy)."""
    PE_PHASES = "pe_phases"
    """One column-mux setting of one PE cycle."""
    CROSSBAR_READS = "crossbar_reads"
    """One crossbar read with one input bit a row."""
    SKIPPED_READS = "skipped_reads"
    """Crossbar reads left out because no row was active. They cost nothing."""
    CROSSBAR_PHASES = "crossbar_phases"
    """One crossbar driven for one column-mux setting: the reads of a chip without sample-and-hold."""
    ACTIVE_WORDLINES = "active_wordlines"
    """Wordlines driven high, in every crossbar that holds the row."""
    ACTIVE_CELLS = "active_cells"
    """Programmed cells on driven wordlines; with pulses (``cells.input_drive``) once for each pulse."""
    ACTIVE_LEVELS = "active_levels"
    """The levels of those cells, summed; of cells with errors in ``2**-LEVEL_FRACTION_BITS`` levels (see
    choices), of inputs that are voltages in 255ths of the largest one, and with what cells at level 0
    conduct where ``nonideal.on_off.finite``.
    """
    COLUMN_STEPS = "column_steps"
    """Clock cycles for which columns are held while rows are driven in pulses, summed over columns."""
    CONVERSIONS = "conversions"
    SHIFT_ADDS = "shift_adds"
    PARTIAL_SUM_ADDS = "partial_sum_adds"
    """Additions of the partial sums of row blocks, and of the encoding's offset."""
    LIF_UPDATES = "lif_updates"
    """Updates of neurons: of the membrane, of a synaptic current where there is one, and one for each bit of
    the spikes beyond the first where a neuron fires several times per timestep.
    """
    ACTIVATIONS = "activations"
    """Sums that became activations of a ReLU."""
    MEMBRANE_READ_BITS = "membrane_read_bits"
    MEMBRANE_WRITE_BITS = "membrane_write_bits"
    DELAY_WRITE_BITS = "delay_write_bits"
    """Spikes that came to be kept for a later timestep."""
    DELAY_READ_BITS = "delay_read_bits"
    CURRENT_WRITE_BITS = "current_write_bits"
    """Encoder currents stored for later timesteps (encoder ``keep``)."""
    CURRENT_READ_BITS = "current_read_bits"
    OUTPUT_REGISTER_BITS = "output_register_bits"
    POOL_OPERATIONS = "pool_operations"
    RESIDUAL_ADDS = "residual_adds"
    ACCUMULATOR_MULTIPLIES = "accumulator_multiplies"
    ACCUMULATOR_ADDS = "accumulator_adds"
    CHECKER_COMPARES = "checker_compares"
    CHECKER_ADDS = "checker_adds"
    CHECKER_MULTIPLIES = "checker_multiplies"
    CHECKER_EXP_LOOKUPS = "checker_exp_lookups"
    CHECKER_LOG_LOOKUPS = "checker_log_lookups"
    CHECKER_VERDICT_TILES = "checker_verdict_tiles"
    """Tiles that a verdict, which also cancels what is in flight, reaches."""
    POWERED_CYCLES = "powered_cycles"
    """Clock cycles during which the chip is powered for this image."""
    POWERED_TILE_CYCLES = "powered_tile_cycles"
    """Clock cycles during which a tile is powered, summed over tiles; only where idle tiles are gated."""
    SPIKES = "spikes"
    """Spikes that left the layer's neurons, or activations above 0. Costs nothing; kept for analysis."""
    SYNAPTIC_OPERATIONS = "synaptic_operations"
    """Active input rows times output channels of their group. Costs nothing; kept for analysis."""


CHECKER_EVENTS = frozenset(
    {
        Event.CHECKER_COMPARES,
        Event.CHECKER_ADDS,
        Event.CHECKER_MULTIPLIES,
        Event.CHECKER_EXP_LOOKUPS,
        Event.CHECKER_LOG_LOOKUPS,
        Event.CHECKER_VERDICT_TILES,
    }
)

STANDING_EVENTS = frozenset({Event.POWERED_CYCLES, Event.POWERED_TILE_CYCLES})
"""What leakage and clock are charged by."""
