"""Sums of spikes before weights and pools: one node, a value of several bits, where a tile can make it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.importers.folding.form import Form, Spikes, Term
from imcsim.importers.folding.nodes import Nodes
from imcsim.network.graph import LIF, Add, Pool2d
from imcsim.network.sums import largest_value, neurons_of_sum
from imcsim.network.validate import MAX_BRANCHES, MAX_POOLED


class SpikeSums:
    """Makes sums, each once: what was added before is part of larger sums."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self._made: dict[frozenset[str], Spikes] = {}
        self._largest: dict[str, int] = {}
        self._neurons: set[str] = set()

    def of(self, reader: str, form: Form) -> Form:
        """`form` with spikes that have the same factors added in a node; as it is where no tile can add them.

        Not added are the image, spikes of earlier timesteps, and sums and averages of pools.
        """
        known: dict[str, Any] = {node.name: node for node in self.nodes.made}
        alike: list[tuple[NDArray[np.float64], list[Term]]] = []
        for term in form.terms:
            if not self._is_train(term.base, known):
                continue
            factor = np.broadcast_to(term.factor, form.shape)
            group = next((terms for other, terms in alike if np.array_equal(other, factor)), None)
            if group is None:
                alike.append((factor, [term]))
            else:
                group.append(term)
        terms = max((some for _, some in alike), key=len, default=[])
        total = self._sum(terms, known) if len(terms) > 1 else None
        if total is None:
            return form
        bits = self._largest[total.node].bit_length()
        self.nodes.notes.append(
            f"{reader} reads a sum of {len(terms)} layers: their spikes are added to values of {bits} bits"
        )
        others = [term for term in form.terms if all(term is not one for one in terms)]
        return replace(form, terms=(*others, Term(total, terms[0].factor)))

    def _is_train(self, base: Any, known: dict[str, Any]) -> bool:
        """Whether these are spikes, max-pooled or not."""
        if not isinstance(base, Spikes) or base.late:
            return False
        node = known.get(base.node)
        return isinstance(node, LIF) or (isinstance(node, Pool2d) and node.kind == "max")

    def _sum(self, terms: list[Term], known: dict[str, Any]) -> Spikes | None:
        """The node that adds some spikes."""
        left = {term.base.node: term.base for term in terms if isinstance(term.base, Spikes)}
        added = frozenset(left)
        if added in self._made:
            return self._made[added]
        inputs: list[str] = []
        while parts := [some for some in self._made if some <= left.keys()]:
            largest = max(parts, key=len)
            inputs.append(self._made[largest].node)
            left = {name: base for name, base in left.items() if name not in largest}
        inputs += left
        base = terms[0].base
        assert isinstance(base, Spikes)
        node = Add("sum", tuple(inputs))
        neurons = neurons_of_sum(node, known)
        if neurons is None or neurons in self._neurons or len(inputs) > MAX_BRANCHES:
            return None
        most = largest_value(node, known | {node.name: node})
        if most > MAX_POOLED:
            return None
        name = self.nodes.unique(f"{neurons[:50]}.sum")
        self.nodes.made.append(replace(node, name=name))
        self._neurons.add(neurons)
        self._largest[name] = most
        self._made[added] = Spikes(name, base.shape, base.row, binary=False)
        return self._made[added]
