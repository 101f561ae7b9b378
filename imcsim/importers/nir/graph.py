"""The graph of a NIR file: its nodes by name, what each one reads, in an order in which they can be computed.

Graphs inside graphs are flattened: their nodes are called ``outer.inner``. A loop goes through neurons, and
time is cut into steps: what neurons give in one reaches the rest of their loop in the next. So a node of kind
`FEEDBACK` stands behind them, as if the file had a delay there.
"""

from __future__ import annotations

import graphlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.importers.importing.layers import INPUT

Field = NDArray[Any] | str

FEEDBACK = "feedback"
"""The kind of the nodes that hold the spikes of the timestep before."""

SPIKING = ("LIF", "IF", "CubaLIF", "Threshold")


@dataclass(frozen=True, eq=False)
class NirNode:
    """One node: `kind` is its NIR type, `reads` the nodes before it, `fields` what the file says of it;
    `comes_back`: feedback reads it.
    """

    name: str
    kind: str
    reads: tuple[str, ...]
    fields: dict[str, Field]
    comes_back: bool = False

    def array(self, file: Path, field: str) -> NDArray[Any]:
        """The numbers in `field`. Raises ImcsimError where the node has none."""
        value = self.fields.get(field)
        if not isinstance(value, np.ndarray):
            raise ImcsimError(
                f"the {self.kind} node has no {field!r}", file=file, key=self.name, fix="write the file again"
            )
        return value


@dataclass(frozen=True, eq=False)
class NirGraph:
    """`nodes` in order, without Input and Output; `output` names the node that gives the result. Nodes of
    kind `FEEDBACK` read one that comes later.
    """

    version: str
    input_shape: tuple[int, ...] | None
    nodes: tuple[NirNode, ...]
    output: str

    @property
    def feeds_back(self) -> bool:
        """Whether spikes come back to earlier nodes."""
        return any(node.kind == FEEDBACK for node in self.nodes)


def graph(file: Path, document: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> NirGraph:
    """The graph that the child process found in `file`. Raises ImcsimError, naming the node."""
    top = document["node"]
    if top["type"] != "NIRGraph":
        raise ImcsimError(
            f"it holds one {top['type']!a:.60} node, not a graph", file=file, fix="write a graph"
        )
    nodes: dict[str, dict[str, Any]] = {}
    edges: set[tuple[str, str]] = set()
    _flatten(file, "", top, nodes, edges)
    ins = [n for n in nodes if nodes[n]["type"] == "Input"]
    outs = [n for n in nodes if nodes[n]["type"] == "Output"]
    shape = _one(file, ins, "Input", nodes)
    _one(file, outs, "Output", nodes)
    reads: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in sorted(edges):
        reads[target].append(source)
    late = _cut(file, nodes, reads, ins[0])
    order = list(graphlib.TopologicalSorter(reads).static_order())
    for name, source in late.items():
        reads[name] = [source]
    kept: list[NirNode] = []
    used = {source for sources in reads.values() for source in sources}
    for name in order:
        kind = nodes[name]["type"]
        if kind in ("Input", "Output"):
            continue
        if not reads[name]:
            raise ImcsimError(
                f"nothing is connected to the input of this {kind} node",
                file=file,
                key=name,
                fix="add an edge",
            )
        if name not in used:
            raise ImcsimError(
                f"nothing reads the output of this {kind} node; a network has one output",
                file=file,
                key=name,
                fix="connect it or remove it",
            )
        sources = tuple(INPUT if source == ins[0] else source for source in reads[name])
        fields = {key: _field(value, arrays) for key, value in nodes[name]["fields"].items()}
        back = any(
            source == name and nodes[late_one]["type"] == FEEDBACK for late_one, source in late.items()
        )
        kept.append(NirNode(name, kind, sources, fields, back))
    final = reads[outs[0]]
    if len(final) != 1 or final[0] == ins[0]:
        raise ImcsimError(
            f"the Output node reads {len(final)} nodes; it must read one that computes something",
            file=file,
            key=outs[0],
            fix="end the graph with one node",
        )
    stated = None if shape is None else _field(shape, arrays)
    sizes = tuple(whole_numbers(stated)) if isinstance(stated, np.ndarray) else None
    return NirGraph(document["version"], sizes, tuple(kept), final[0])


def whole_numbers(value: Field | None) -> list[int]:
    """The whole numbers in a field; none where it holds anything else."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        return []
    numbers = value.ravel()
    if numbers.dtype.kind == "f" and not (np.isfinite(numbers) & (numbers == np.rint(numbers))).all():
        return []
    return [int(n) for n in numbers]


def _flatten(
    file: Path,
    prefix: str,
    top: dict[str, Any],
    nodes: dict[str, dict[str, Any]],
    edges: set[tuple[str, str]],
) -> None:
    """Put the nodes and edges of `top`, and of the graphs in it, into `nodes` and `edges`.

    The Input and Output of an inner graph vanish: edges to the graph lead to what reads its Input.
    """
    entries: dict[str, list[str]] = {}
    exits: dict[str, list[str]] = {}
    for name, node in top["nodes"].items():
        full = prefix + name
        if name == INPUT and node["type"] != "Input":
            raise ImcsimError(
                f"a {node['type']} node is called {INPUT!r}", file=file, key=full, fix="rename it"
            )
        if node["type"] != "NIRGraph":
            nodes[full] = node
            continue
        inner_nodes: dict[str, dict[str, Any]] = {}
        inner_edges: set[tuple[str, str]] = set()
        _flatten(file, full + ".", node, inner_nodes, inner_edges)
        ends = {
            n: inner_nodes[n]["type"] for n in inner_nodes if inner_nodes[n]["type"] in ("Input", "Output")
        }
        if sorted(ends.values()) != ["Input", "Output"] or any("." in n[len(full) + 1 :] for n in ends):
            raise ImcsimError(
                "a graph inside needs one Input and one Output",
                file=file,
                key=full,
                fix="give it one of each, or flatten it before it is exported",
            )
        entries[full] = [b for a, b in sorted(inner_edges) if ends.get(a) == "Input"]
        exits[full] = [a for a, b in sorted(inner_edges) if ends.get(b) == "Output"]
        if any(ends.get(n) for n in (*entries[full], *exits[full])):
            raise ImcsimError(
                "a graph inside passes its input straight on", file=file, key=full, fix="leave it out"
            )
        nodes |= {n: inner_nodes[n] for n in inner_nodes if n not in ends}
        edges |= {(a, b) for a, b in inner_edges if a not in ends and b not in ends}
    known = {prefix + name for name in top["nodes"]}
    for source, target in top["edges"]:
        a, b = prefix + source, prefix + target
        for end in (a, b):
            if end not in known:
                where = f" of the graph inside {prefix[:-1][:60]!a}" if prefix else ""
                raise ImcsimError(
                    f"the file is broken: an edge{where} names the node {end[:80]!a}, which does not exist; "
                    f"its nodes are {', '.join(sorted(known))[:120]}",
                    file=file,
                    fix="export the network again",
                )
        if (a, b) in edges:
            raise ImcsimError("two edges from one node", file=file, key=f"{a} to {b}"[:100], fix="remove one")
        edges |= {(x, y) for x in exits.get(a, [a]) for y in entries.get(b, [b])}


def _one(file: Path, names: list[str], kind: str, nodes: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    if len(names) != 1:
        listed = f": {', '.join(names)[:80]}" if names else ""
        lost = kind == "Input" and any(name.startswith("input_") for name in names)
        raise ImcsimError(
            f"the graph has {len(names)} {kind} nodes; it must have one{listed}",
            file=file,
            fix="the exporter lost an addition: save the state dict and list its layers with --layers"
            if lost
            else "export one network",
        )
    found: dict[str, Any] | None = nodes[names[0]]["fields"].get("shape")
    return found


def _cut(
    file: Path, nodes: dict[str, dict[str, Any]], reads: dict[str, list[str]], start: str
) -> dict[str, str]:
    """Take out of `reads` what comes from an earlier timestep, so that no loop is left: the nodes that read
    it, with what they read. They are the delays of the file, and feedback nodes that are put into `nodes`.

    Of the neurons in a loop those nearest to the Input come first, and what leads back to them is cut.
    """
    depth, waiting = {start: 0}, [start]
    for name in waiting:
        for reader in sorted(n for n, sources in reads.items() if name in sources and n not in depth):
            depth[reader] = depth[name] + 1
            waiting.append(reader)
    late: dict[str, str] = {}
    while loop := _loop(reads):
        after = dict(zip(loop, [*loop[1:], loop[0]], strict=True))
        delay = next((name for name in loop if nodes[name]["type"] == "Delay"), None)
        if delay is not None and len(reads[delay]) == 1:
            late[delay] = reads[delay].pop()
            continue
        last = _last(file, [name for name in loop if nodes[name]["type"] in SPIKING], loop, depth)
        back = next((n for n, s in late.items() if s == last and nodes[n]["type"] == FEEDBACK), "")
        if not back:
            back = f"{last}.before"
            while back in nodes:
                back += "_"
            nodes[back], reads[back], late[back] = {"type": FEEDBACK, "fields": {}}, [], last
        reads[after[last]] = [back if name == last else name for name in reads[after[last]]]
    return late


def _last(file: Path, neurons: list[str], loop: list[str], depth: dict[str, int]) -> str:
    """The neurons of a loop that are farthest from the Input."""
    text = " - ".join(loop if len(loop) <= 6 else [*loop[:5], "..."])
    if not neurons:
        raise ImcsimError(
            f"these nodes feed back into themselves without neurons that spike: {text}",
            file=file,
            key=loop[0],
            fix="put neurons into the loop: what they give comes back a timestep later",
        )
    far = max(depth.get(name, -1) for name in neurons)
    last = [name for name in neurons if depth.get(name, -1) == far]
    if len(last) > 1:
        raise ImcsimError(
            f"these nodes feed back into themselves, and which of {' and '.join(last)} comes first cannot be "
            f"told: {text}",
            file=file,
            key=last[0],
            fix="put a Delay node of one timestep where spikes come back",
        )
    return last[0]


def _loop(reads: dict[str, list[str]]) -> list[str]:
    """The nodes of a loop, each read by the next one; none where there is no loop."""
    try:
        list(graphlib.TopologicalSorter(reads).static_order())
    except graphlib.CycleError as error:
        return [str(name) for name in error.args[1]][:-1]
    return []


def _field(value: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Field:
    if "text" in value:
        return str(value["text"])
    if "array" in value:
        return arrays[value["array"]]
    return np.array(value["data"], dtype=value["dtype"]).reshape(value["shape"])
