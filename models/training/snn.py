"""What the trained spiking networks are made of: the LIF neuron, weights on an integer grid, the loss.

LIF (Li et al., DAC 2023, released code): ``u_t = tau u_{t-1} + I_t``, ``tau = 0.5``, threshold 1, spike when
``u >= 1``, hard reset to 0. The image is the input of every timestep (direct encoding), so the first
convolution and its batch norm are computed once and repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LEAK = 0.5
THRESHOLD = 1.0
LOSSES = ("final", "running")
NEURONS = ("lif", "clipped", "relu", "quantised")
CLIP = 3.0
"""Where quantised activations are cut off: three standard deviations of what batch norm starts with."""


class _Lif(torch.autograd.Function):
    """All timesteps of a layer of LIF neurons at once, with the triangular surrogate ``max(0, 1 - |u - 1|)``.

    Only the membranes before their reset are kept for the backward pass: a spike, and whether a neuron was
    reset, follow from them. The reset passes no gradient: ``dL/du_t = dL/ds_t max(0, 1 - |u_t - 1|) +
    tau (1 - s_t) dL/du_{t+1}``, and ``dL/dI_t = dL/du_t``.
    """

    @staticmethod
    def forward(ctx, currents: Tensor) -> Tensor:
        membranes = torch.empty_like(currents)
        carried = None
        for t, current in enumerate(currents):
            membrane = current if carried is None else current + LEAK * carried
            membranes[t] = membrane
            carried = torch.where(membrane >= THRESHOLD, 0, membrane)
        ctx.save_for_backward(membranes)
        return (membranes >= THRESHOLD).to(currents.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (membranes,) = ctx.saved_tensors
        grads = torch.empty_like(membranes)
        later = None
        for t in range(len(membranes) - 1, -1, -1):
            here = grad[t] * torch.clamp(1 - (membranes[t] - THRESHOLD).abs(), min=0)
            if later is not None:
                here = here + LEAK * torch.where(membranes[t] >= THRESHOLD, 0, later)
            grads[t] = later = here
        return grads


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
    return _Lif.apply(current.unflatten(0, (timesteps, -1))).flatten(0, 1)


def clipped(current: Tensor) -> Tensor:
    """The ReLU without spikes that stands in for a LIF while a teacher is trained: ``clamp(I - 1/2, 0, 1)``.

    At one timestep a LIF rounds it to 0 or 1, and the surrogate gradient lies around the same current, so a
    teacher's weights are a start for a spiking network of the same shape.
    """
    return torch.clamp(current - 0.5, 0, 1)


def activation_step(bits: int) -> float:
    """What one step of an activation of `bits` bits is worth: the top code is worth ``CLIP``."""
    return CLIP / (2**bits - 1)


def quantised(current: Tensor, bits: int) -> Tensor:
    """A clipped ReLU of whole steps: ``step * clamp(floor(I / step + 1/2), 0, 2^bits - 1)``.

    The gradient is that of the clipped ReLU without steps (a straight-through estimate; Hubara et al., 2018).
    """
    step, top = activation_step(bits), 2**bits - 1
    ramp = torch.clamp(current.float() / step, 0, top)
    codes = ramp + (torch.floor(ramp + 0.5) - ramp).detach()
    return (codes * step).to(current.dtype)


def running_mean(outputs: Tensor) -> Tensor:
    """``f_t = (1/t) sum_{s <= t} o_s`` of outputs ``[T, B, K]``."""
    steps = torch.arange(1, outputs.shape[0] + 1, device=outputs.device, dtype=outputs.dtype)
    return outputs.cumsum(0) / steps.view(-1, 1, 1)


@dataclass(frozen=True)
class Distillation:
    """Soft labels (Hinton, Vinyals and Dean, 2015): `share` of the loss is the divergence from a teacher's
    classes, both softened by `temperature`.
    """

    share: float = 0.7
    temperature: float = 2.0


def loss_of(
    outputs: Tensor,
    labels: Tensor,
    kind: str,
    taught: Tensor | None = None,
    distillation: Distillation | None = None,
) -> Tensor:
    """Loss of outputs ``[T, B, K]`` (float32) against labels ``[B]``.

    ``final``: the cross-entropy of the last running mean ``f_T`` alone, as a static network is trained.
    ``running``: the mean over t of the cross-entropy of every ``f_t`` (DT-SNN, DAC 2023). Equal at T = 1.
    With the outputs `taught` ``[B, K]`` of a teacher, `distillation` says how much of the loss follows them.
    """
    means = running_mean(outputs)
    if kind == "final":
        means = means[-1:]
    elif kind != "running":
        raise ValueError(f"no loss {kind!r}: use one of {', '.join(LOSSES)}")
    hard = F.cross_entropy(means.flatten(0, 1), labels.repeat(len(means)))
    if taught is None or distillation is None:
        return hard
    temperature = distillation.temperature
    ours = F.log_softmax(means.flatten(0, 1) / temperature, 1)
    theirs = F.log_softmax(taught / temperature, 1).repeat(len(means), 1)
    soft = F.kl_div(ours, theirs, reduction="batchmean", log_target=True) * temperature**2
    return (1 - distillation.share) * hard + distillation.share * soft
