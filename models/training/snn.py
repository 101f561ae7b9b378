"""What the trained spiking networks are made of: the LIF neuron, weights on an integer grid, the loss.

LIF (Li et al., DAC 2023, released code): ``u_t = tau u_{t-1} + I_t``, ``tau = 0.5``, threshold 1, spike when
``u >= 1``, hard reset to 0. The image is the input of every timestep (direct encoding), so the first
convolution and its batch norm are computed once and repeated.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEAK = 0.5
THRESHOLD = 1.0
LOSSES = ("final", "running")


class _Spike(torch.autograd.Function):
    """Heaviside step with the triangular surrogate gradient ``max(0, 1 - |u|)``."""

    @staticmethod
    def forward(ctx, distance: Tensor) -> Tensor:
        ctx.save_for_backward(distance)
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (distance,) = ctx.saved_tensors
        return grad * torch.clamp(1 - distance.abs(), min=0)


class FakeQuant(torch.autograd.Function):
    """Round to the symmetric grid of each output channel; the gradient passes straight through."""

    @staticmethod
    def forward(ctx, weight: Tensor, bits: int) -> Tensor:
        scale = weight_scale(weight, bits)
        return (weight / scale).round() * scale

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def weight_scale(weight: Tensor, bits: int) -> Tensor:
    """Step of the symmetric integer grid, one for each output channel, kept broadcastable."""
    largest = weight.abs().amax(tuple(range(1, weight.dim())), keepdim=True)
    return torch.clamp(largest, min=1e-8) / (2 ** (bits - 1) - 1)


def lif(current: Tensor, timesteps: int) -> Tensor:
    """Spikes ``[T * B, ...]`` of currents ``[T * B, ...]`` (timestep-major)."""
    currents = current.unflatten(0, (timesteps, -1))
    membrane = torch.zeros_like(currents[0])
    spikes = []
    for t in range(timesteps):
        membrane = LEAK * membrane + currents[t]
        spike = _Spike.apply(membrane - THRESHOLD)
        membrane = membrane * (1 - spike.detach())
        spikes.append(spike)
    return torch.cat(spikes)


def running_mean(outputs: Tensor) -> Tensor:
    """``f_t = (1/t) sum_{s <= t} o_s`` of outputs ``[T, B, K]``."""
    steps = torch.arange(1, outputs.shape[0] + 1, device=outputs.device, dtype=outputs.dtype)
    return outputs.cumsum(0) / steps.view(-1, 1, 1)


def loss_of(outputs: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Loss of outputs ``[T, B, K]`` (float32) against labels ``[B]``.

    ``final``: the cross-entropy of the last running mean ``f_T`` alone, as a static network is trained.
    ``running``: the mean over t of the cross-entropy of every ``f_t`` (DT-SNN, DAC 2023). Equal at T = 1.
    """
    means = running_mean(outputs)
    if kind == "final":
        return F.cross_entropy(means[-1], labels)
    if kind == "running":
        return F.cross_entropy(means.flatten(0, 1), labels.repeat(len(means)))
    raise ValueError(f"no loss {kind!r}: use one of {', '.join(LOSSES)}")
