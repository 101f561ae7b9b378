"""The spiking network that is trained: convolution, batch norm, LIF, pooling, in torch.

LIF (Li et al., DAC 2023, released code): ``u_t = tau u_{t-1} + I_t``, ``tau = 0.5``, threshold 1, spike when
``u >= 1``, hard reset to 0. The image is the input of every timestep (direct encoding), so the first
convolution and its batch norm are computed once and repeated.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.5
THRESHOLD = 1.0


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


class _FakeQuant(torch.autograd.Function):
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


class SpikingVGG(nn.Module):
    """``plan`` lists output channels of 3x3 convolutions; ``M`` is a 2x2 max pool of spikes."""

    def __init__(self, plan: list[int | str], *, classes: int = 10, size: int = 32, weight_bits: int = 8):
        super().__init__()
        self.plan, self.weight_bits = list(plan), weight_bits
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        channels = 3
        for item in plan:
            if item == "M":
                size //= 2
                continue
            self.convs.append(nn.Conv2d(channels, int(item), 3, padding=1, bias=False))
            self.norms.append(nn.BatchNorm2d(int(item)))
            channels = int(item)
        self.classifier = nn.Linear(channels * size * size, classes)

    def quantised(self, weight: Tensor) -> Tensor:
        return _FakeQuant.apply(weight, self.weight_bits) if self.weight_bits else weight

    def forward(self, image: Tensor, timesteps: int) -> Tensor:
        """Classifier outputs ``[T, B, classes]`` of images ``[B, 3, H, W]`` in 0 to 1."""
        x, k = image, 0
        for item in self.plan:
            if item == "M":
                x = F.max_pool2d(x, 2)
                continue
            x = F.conv2d(x, self.quantised(self.convs[k].weight), padding=1)
            x = self.norms[k](x)
            if k == 0:
                x = x.repeat(timesteps, 1, 1, 1)
            x = lif(x, timesteps)
            k += 1
        x = F.linear(x.flatten(1), self.quantised(self.classifier.weight), self.classifier.bias)
        return x.unflatten(0, (timesteps, -1))


def running_mean(outputs: Tensor) -> Tensor:
    """``f_t = (1/t) sum_{s <= t} o_s`` of outputs ``[T, B, K]``."""
    steps = torch.arange(1, outputs.shape[0] + 1, device=outputs.device, dtype=outputs.dtype)
    return outputs.cumsum(0) / steps.view(-1, 1, 1)
