"""A moving average of a network's weights and statistics, which serves while the learning rate is high.

At a constant rate weights wander around where they would settle; their average lies near it. So a run that is
to go on for as long as there is time can be looked at, exported, or left for another run at any moment.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

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

    @torch.no_grad()
    def settle(self, batches: Iterable[Tensor], timesteps: int) -> None:
        """Give batch norm the statistics that `batches` of images have in the averaged network.

        Averaged weights are quieter than any of those that they are the average of, so the average of
        these weights' statistics is not theirs (Izmailov et al., "Averaging weights leads to wider optima",
        UAI 2018).
        """
        norms = [one for one in self.network.modules() if isinstance(one, nn.BatchNorm2d)]
        kept = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
            norm.train()
        for images in batches:
            self.network(images, timesteps)
        for norm, momentum in zip(norms, kept, strict=True):
            norm.momentum = momentum
        self.network.eval()

    def state(self) -> dict[str, Tensor]:
        return dict(self.network.state_dict())
