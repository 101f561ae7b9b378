"""A moving average of a network's weights and statistics, which serves while the learning rate is high.

At a constant rate weights wander around where they would settle; their average lies near it. So a run that is
to go on for as long as there is time can be looked at, exported, or left for another run at any moment.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Average:
    """The average of the weights of about the last ``1 / (1 - decay)`` steps; of all, while they are few."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def take(self, network: nn.Module) -> None:
        """One step of `network` more."""
        share = max(1 - self.decay, 1 / (self.steps + 1))
        mine, theirs = self.network.state_dict(), network.state_dict()
        pairs = [(mine[name], theirs[name]) for name in mine]
        moving = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([a for a, _ in moving], [b for _, b in moving], share)
        for count, now in pairs:
            if not count.is_floating_point():
                count.copy_(now)
        self.steps += 1

    def state(self) -> dict[str, Tensor]:
        return dict(self.network.state_dict())
