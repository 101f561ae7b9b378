"""Copies of layers: crossbars that a layer takes beyond its own, so that a timestep or an image is faster.

Copies of a layer work on different positions of an output row, and once every position of a row has one, on
further rows, until a whole map has. `balanced` evens out reads in turn. The other policies rest on a model of
their own, which leaves the mesh and the waiting for room out: the timing engine has both. In it a band of
rows takes as long as the busiest of crossbars, ADCs, tile bus and neurons needs for it, and starts when the
rows it is made of are done. An image takes the timestep that reads the image, and
``mapping.expected_timesteps - 1`` further ones, in which the layer that reads the image rests where its
currents are kept.

Copies are granted step by step: each step is one of the next numbers of copies that save a wave, of the layer
(or of all layers that are equally busy) that gains most per crossbar. The budget only says where the steps
end, so a larger one never makes the objective worse. For ``throughput`` a step gives the busiest layers the
fewest copies with which they are less busy, so that its end is the best that the budget allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from imcsim.base.errors import ImcsimError
from imcsim.hardware.config import HardwareConfig
from imcsim.hardware.events import Event
from imcsim.mapping.pack import pack, size_of_tile, tiles_by_type, tiles_of
from imcsim.mapping.placement import Grant, LayerPlacement, unknown_layer
from imcsim.mapping.stages import IMAGE, Edge, StageGraph

Layers = tuple[LayerPlacement, ...]

OBJECTIVES = ("latency", "throughput", "edp")
"""Policies that make something small."""

_LOOK_AHEAD = 3
"""Steps of a layer that are tried at once."""


def granted(
    layers: Sequence[LayerPlacement], graph: StageGraph, hardware: HardwareConfig
) -> tuple[Layers, tuple[Grant, ...]]:
    """`layers` with the copies that ``mapping.replication`` gives them, and the grants of a policy with an
    objective, one after the other.

    Raises ImcsimError where it names a layer that there is not, or copies that its map cannot share.
    """
    policy = hardware.mapping.replication
    if isinstance(policy, dict):
        return _by_hand(tuple(layers), policy), ()
    if policy == "none":
        return tuple(layers), ()
    if policy == "balanced":
        return _balanced(list(layers), hardware), ()
    steps = list(grants(layers, graph, hardware))
    # The last one is what the budget allows.
    return (steps[-1][0] if steps else tuple(layers)), tuple(grant for _, grant in steps)


def grants(
    layers: Sequence[LayerPlacement], graph: StageGraph, hardware: HardwareConfig
) -> Iterator[tuple[Layers, Grant]]:
    """The layers after each step that the budget allows, and its gain; none without an objective."""
    if hardware.mapping.replication not in OBJECTIVES:
        return
    objective = objective_of(graph, hardware)
    layers, begun = tuple(layers), tuple(layers)
    fits = _budget(begun, hardware)
    now = objective(layers)
    while True:
        best: tuple[float, Layers, Grant] | None = None
        bound_by = busiest(layers, graph, hardware)
        for wanted in _candidates(layers, graph, hardware):
            cost = sum(a.crossbars - b.crossbars for a, b in zip(wanted, layers, strict=True))
            after = objective(wanted)
            if after >= now:
                continue
            more = [a for a, b in zip(wanted, layers, strict=True) if a.copies != b.copies]
            names, copies = tuple(a.stage.name for a in more), tuple(a.copies for a in more)
            step = Grant(names, copies, cost, now, after, bound_by)
            if best is None or step.gain_per_crossbar > best[0]:
                best = step.gain_per_crossbar, wanted, step
        if best is None or not fits(best[1]):
            return
        _, layers, step = best
        now = step.after
        yield layers, step


def objective_of(graph: StageGraph, hardware: HardwareConfig) -> Callable[[Sequence[LayerPlacement]], float]:
    """What the chip's policy makes small: cycles of an image (``latency``), cycles between images that follow
    each other (``throughput``), or pJ x cycles (``edp``).
    """
    policy = hardware.mapping.replication
    further = _further_timesteps(graph, hardware)

    def latency(layers: Sequence[LayerPlacement]) -> float:
        return timestep_cycles(layers, graph, hardware) + further * timestep_cycles(
            layers, graph, hardware, stored=hardware.encoder.mode == "keep"
        )

    def throughput(layers: Sequence[LayerPlacement]) -> float:
        return max(busy_cycles(layer, graph, hardware) for layer in layers)

    def edp(layers: Sequence[LayerPlacement]) -> float:
        cycles = latency(layers)
        return (_dynamic_pj(layers, hardware, further) + _standing_pj(layers, hardware) * cycles) * cycles

    return {"latency": latency, "throughput": throughput, "edp": edp}[str(policy)]


def busy_cycles(layer: LayerPlacement, graph: StageGraph, hardware: HardwareConfig) -> float:
    """Cycles in which an image keeps a layer busy."""
    rests = layer.stage.keeps_currents(hardware)
    further = _further_timesteps(graph, hardware) * band_cycles(layer, hardware, stored=rests)
    return layer.bands * (band_cycles(layer, hardware) + further)


def busiest(layers: Sequence[LayerPlacement], graph: StageGraph, hardware: HardwareConfig) -> str:
    """The layer that an image keeps busiest."""
    return max(layers, key=lambda layer: busy_cycles(layer, graph, hardware)).stage.name


def _further_timesteps(graph: StageGraph, hardware: HardwareConfig) -> float:
    """Timesteps after the first one that an image takes in the mean."""
    return (hardware.mapping.expected_timesteps or graph.timesteps) - 1


def band_cycles(layer: LayerPlacement, hardware: HardwareConfig, *, stored: bool = False) -> int:
    """Cycles that a band takes at the busiest of a layer's resources; its neurons alone where its currents
    are `stored`.
    """
    hardware = hardware.of_type(layer.tile_type)
    stage, tile_units = layer.stage, size_of_tile(hardware)
    per_copy = layer.blocks * layer.columns
    together = min(layer.copies, max(1, tile_units // per_copy))  # copies that share a tile's bus and lanes
    channels = -(-stage.out_channels * min(per_copy, tile_units) // per_copy)
    waves, rows = layer.waves_per_band, layer.row_copies
    lanes = hardware.lif.lanes
    neurons = waves * -(-together * channels * stage.updates // lanes) if stage.neurons else 0
    if stored:
        return neurons
    reads = waves * hardware.reads_of(stage.planes) * layer.turns
    columns = min(layer.columns_at_once, -(-together // rows))
    height = min(rows * stage.kernel[0], stage.extent[0] + (rows - 1) * stage.stride[0])
    new = stage.kernel[1] + stage.stride[1] * (columns - 1)
    new += (waves - 1) * min(new, stage.stride[1] * layer.columns_at_once)
    bits = new * height * stage.in_channels * stage.planes
    return max(
        neurons,
        reads * hardware.read_cycles(stage.planes),
        reads * hardware.convert_cycles,
        -(-bits // hardware.tile.bus_bits),
    )


def timestep_cycles(
    layers: Sequence[LayerPlacement], graph: StageGraph, hardware: HardwareConfig, *, stored: bool = False
) -> int:
    """Cycles from the first row of a timestep until the last class output; with `stored`, of one in which the
    layer that reads the image keeps its currents.
    """
    done: dict[int, list[int]] = {}
    inputs: dict[int, list[Edge]] = {}
    for edge in graph.edges:
        # What comes from the timestep before, or from the global buffer, is there.
        if edge.source != IMAGE and not edge.delay and edge.source < edge.target:
            inputs.setdefault(edge.target, []).append(edge)
    for layer in layers:
        stage = layer.stage
        cycles = band_cycles(layer, hardware, stored=stored and stage.reads_image)
        free, ends = 0, []
        for band in range(layer.bands):
            last = layer.last_row(band)
            for edge in inputs.get(stage.index, ()):
                rows = last + 1 if edge.role == "side" else stage.rows_needed(last, edge.height)
                free = max(free, _there(edge, rows, done[edge.source], layers[edge.source]))
            free += cycles
            ends.append(free)
        done[stage.index] = ends
    return max(ends[-1] for ends in done.values())


def _there(edge: Edge, rows: int, done: list[int], source: LayerPlacement) -> int:
    """The cycle in which so many rows of an edge are done."""
    if rows <= 0:
        return 0
    own = (rows - 1) * edge.pool_stride - edge.pool_padding + edge.pool_size - 1
    own = max(0, min(own, source.stage.out_height - 1))
    return done[own // source.row_copies]


def _candidates(layers: Layers, graph: StageGraph, hardware: HardwareConfig) -> Iterator[Layers]:
    """All of the layers that are equally busy with fewest copies that change it; and, where more counts than
    the busiest one, each layer with its next numbers of copies.
    """

    def busy(layer: LayerPlacement) -> float:
        return busy_cycles(layer, graph, hardware)

    most = max(busy(layer) for layer in layers)
    slowest = {k: _below(layer, most, busy) for k, layer in enumerate(layers) if busy(layer) == most}
    if all(slowest.values()):
        yield tuple(slowest.get(k) or layer for k, layer in enumerate(layers))
    if hardware.mapping.replication != "throughput":
        for k, layer in enumerate(layers):
            # A step may gain nothing by itself, where another resource or a rounding holds the layer up.
            for more in islice(_further(layer), _LOOK_AHEAD):
                yield (*layers[:k], more, *layers[k + 1 :])


def _below(
    layer: LayerPlacement, most: float, busy: Callable[[LayerPlacement], float]
) -> LayerPlacement | None:
    """The layer with the fewest copies with which it is less busy; None where there are none."""
    return next((more for more in _further(layer) if busy(more) < most), None)


def _further(layer: LayerPlacement) -> Iterator[LayerPlacement]:
    """The layer with more and more copies, until a whole map has its own."""
    more = _grown(layer)
    while more is not None:
        yield more
        more = _grown(more)


def _grown(layer: LayerPlacement) -> LayerPlacement | None:
    """The layer with the fewest further copies that save a wave; None where a whole map has its copies."""
    width, height = layer.stage.out_width, layer.stage.out_height
    waves = layer.waves_per_band
    if waves > 1:
        return replace(layer, copies=-(-width // (waves - 1)))
    rows = next((r for r in range(layer.row_copies + 1, height + 1) if height % r == 0), None)
    return None if rows is None else replace(layer, copies=rows * width, row_copies=rows)


def _budget(begun: Layers, hardware: HardwareConfig) -> Callable[[Layers], bool]:
    """Whether layers stay within what copies may cost beyond `begun`."""
    mapping = hardware.mapping

    def tiles(layers: Layers) -> int:
        return tiles_of(pack(layers, hardware))

    def crossbars(layers: Layers) -> int:
        return sum(layer.crossbars for layer in layers)

    def of_types(layers: Layers) -> Mapping[str, int]:
        return tiles_by_type(pack(layers, hardware), layers)

    def area_um2(more: Mapping[str, int]) -> float:
        return sum(n * hardware.of_type(kind).tile_area_um2() for kind, n in more.items())

    before = crossbars(begun), tiles(begun), of_types(begun)

    def fits(layers: Layers) -> bool:
        if crossbars(layers) - before[0] > mapping.extra_crossbars:
            return False
        if mapping.extra_tiles is None and mapping.extra_area_mm2 is None:
            return True
        more = tiles(layers) - before[1]
        if mapping.extra_tiles is not None and more > mapping.extra_tiles:
            return False
        if mapping.extra_area_mm2 is None:
            return True
        added = {kind: n - before[2][kind] for kind, n in of_types(layers).items()}
        return area_um2(added) <= mapping.extra_area_mm2 * 1e6

    return fits


def _dynamic_pj(layers: Sequence[LayerPlacement], hardware: HardwareConfig, further: float) -> float:
    """Energy of an image's reads, conversions and neurons, which copies do not change."""
    of_types = {kind: _prices(hardware.of_type(kind)) for kind in {one.tile_type for one in layers}}
    total = 0.0
    for layer in layers:
        stage, prices = layer.stage, of_types[layer.tile_type]
        reads = stage.positions * hardware.reads_of(stage.planes) * int(layer.rows.turns.sum())
        # Rows of a set of groups are read in its own columns.
        conversions = reads * layer.channels_of_set * layer.slices
        once = reads * layer.columns_of_set * layer.unit_crossbars * prices.get(Event.CROSSBAR_READS, 0)
        once += conversions * (prices.get(Event.CONVERSIONS, 0) + prices.get(Event.SHIFT_ADDS, 0))
        neurons = stage.neuron_positions * stage.out_channels * stage.updates if stage.neurons else 0
        total += once * (1 if stage.keeps_currents(hardware) else 1 + further)
        total += neurons * prices.get(Event.LIF_UPDATES, 0) * (1 + further)
    return total


def _prices(hardware: HardwareConfig) -> Mapping[Event, float]:
    """What all components together pay for each event, pJ; found once for a chip."""
    known: Mapping[Event, float] | None = hardware.figures.get(_PRICES)
    if known is None:
        prices: dict[Event, float] = {}
        for _, component in hardware.components():
            for event, energy in component.charges(hardware).items():
                prices[event] = prices.get(event, 0.0) + energy
        known = hardware.figures[_PRICES] = prices
    return known


_PRICES = (0, "prices of events")


def _standing_pj(layers: Sequence[LayerPlacement], hardware: HardwareConfig) -> float:
    """Leakage and clock of all tiles in a cycle, pJ."""
    tiles = tiles_by_type(pack(layers, hardware), layers)
    return sum(_of_tile_pj(hardware.of_type(kind)) * number for kind, number in tiles.items())


def _of_tile_pj(chip: HardwareConfig) -> float:
    """Leakage and clock of one tile in a cycle, pJ; found once for a chip."""
    known: float | None = chip.figures.get(_STANDING)
    if known is None:
        known = chip.figures[_STANDING] = sum(
            component.standing_energy_pj(chip) * component.instances(chip, chip.one_tile)
            for _, component in chip.components()
            if component.scope != "chip"
        )
    return known


_STANDING = (0, "standing energy of a tile")


def _by_hand(layers: Layers, copies: dict[str, int]) -> Layers:
    named = {layer.stage.name: layer for layer in layers}
    for name, number in copies.items():
        if name not in named:
            raise unknown_layer(name, named, "mapping.replication")
        named[name] = _with_copies(named[name], number)
    return tuple(named[layer.stage.name] for layer in layers)


def _with_copies(layer: LayerPlacement, number: int) -> LayerPlacement:
    width, height = layer.stage.out_width, layer.stage.out_height
    if number <= width:
        return replace(layer, copies=number)
    whole = [rows * width for rows in range(1, height + 1) if height % rows == 0]
    if number not in whole:
        below, above = ([n for n in whole if width < n < number][-1:], [n for n in whole if n > number][:1])
        near = [f"{n}" for n in (*below, *above)]
        raise ImcsimError(
            f"{number} copies of {layer.stage.name} cannot share its map of {height} rows of {width} evenly",
            key="mapping.replication",
            fix=" or ".join([f"use 1 to {width}", *near]),
        )
    return replace(layer, copies=number, row_copies=number // width)


def _balanced(layers: list[LayerPlacement], hardware: HardwareConfig) -> Layers:
    """More copies of whichever layer is the slowest, as long as the budget pays for it.

    A layer has at most as many copies as an output row has positions. When the slowest layer cannot be made
    faster, copies of others would not raise the throughput.
    """
    begun = tuple(layers)
    fits = _budget(begun, hardware)
    while True:
        slowest = max(range(len(layers)), key=lambda k: layers[k].reads_in_turn)
        layer = layers[slowest]
        waves = layer.waves_per_band
        if waves == 1:
            return tuple(layers)
        # The next number of copies that saves a wave; fewer would cost crossbars and gain nothing.
        wanted = replace(layer, copies=-(-layer.stage.out_width // (waves - 1)))
        grown = [*layers[:slowest], wanted, *layers[slowest + 1 :]]
        if not fits(tuple(grown)):
            return tuple(layers)
        layers = grown
