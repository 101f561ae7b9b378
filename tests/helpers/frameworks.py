"""Small networks in each framework, with weights on the integer grid, written by its own exporter.

A builder returns the module in evaluation mode; `write` exports it. Where a framework is missing, `need`
skips the test and says so.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imcsim.importers import ReadOptions

FRAMEWORKS = ("snntorch", "spikingjelly", "norse", "sinabs")
_MODULES = {
    "snntorch": ("snntorch", "nir"),
    "spikingjelly": ("spikingjelly", "nir"),
    "norse": ("norse", "nir"),
    "sinabs": ("sinabs", "nir"),
}

SINABS = {"max_spikes": 1, "floor": "none", "input": "decayed"}
"""What no file of sinabs says of its neurons: here SingleSpike, no min_v_mem, norm_input."""

SNNTORCH = {"inhibition": "no", "graded_spikes": 1.0}
"""What no file of snnTorch says of its neurons, besides their reset."""

_STATES = {"snntorch": "reset_mechanism", "spikingjelly": "v_threshold", "norse": "p", "sinabs": "v_mem"}
"""What a module has that is a neuron."""


def stated(framework: str, options: ReadOptions | None = None) -> ReadOptions | None:
    """`options`, with what must be said of snnTorch's neurons; their reset is its default unless stated."""
    if framework != "snntorch":
        return options
    said = options or ReadOptions()
    return replace(said, reset=said.reset or "soft", neuron={**SNNTORCH, **(said.neuron or {})})


def stated_words(framework: str, reset: str = "soft") -> list[str]:
    """The same for a command line, and what must be said of sinabs's neurons."""
    said: dict[str, Any] = {"snntorch": SNNTORCH, "sinabs": SINABS}.get(framework, {})
    words = [word for key, value in said.items() for word in ("--neuron", f"{key}={value}")]
    return ["--reset", reset, *words] if framework == "snntorch" else words


def need(framework: str) -> None:
    """Skip the test where `framework`, or the libraries that its exporter needs, are not installed."""
    for module in ("torch", "h5py", *_MODULES[framework]):
        pytest.importorskip(module, reason=f"{module} is not installed")


def on_grid(module: Any, seed: int = 0, low: int = -3, high: int = 4) -> Any:
    """Fill all weights of convolutions and linear layers with small integers; biases too."""
    import torch

    random = np.random.default_rng(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear):
            for value in (part.weight, part.bias):
                if value is not None:
                    value.data = torch.tensor(random.integers(low, high, value.shape).astype(np.float32))
    return module.eval()


def full(value: float, *shape: int) -> Any:
    """A float32 tensor of one value; exporters want one number per neuron."""
    import torch

    return torch.full(shape, value)


def write(framework: str, module: Any, sample: Any, path: Path) -> Path:
    """Export `module` with the exporter of `framework`; `sample` is one batch, ``[1, ...]``.

    SpikingJelly's modules are in single-step mode here. sinabs and Norse leave the shapes of convolutions
    open, and their files cannot be written until the nir library has filled them in.
    """
    import nir

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if framework == "snntorch":
            from snntorch.export_nir import export_to_nir

            graph = export_to_nir(module, sample, ignore_dims=[0])
        elif framework == "spikingjelly":
            from spikingjelly.activation_based.nir_exchange import export_to_nir

            graph = export_to_nir(module, sample)
        elif framework == "norse":
            import norse.torch as norse

            graph = norse.to_nir(module, sample[0])
            graph.infer_types()
        else:
            from sinabs.nir import to_nir

            graph = to_nir(module, sample)
            graph.infer_types()
        nir.write(path, graph)
    return path


def snntorch_conv(reset: str = "subtract", beta: float = 0.5, synapse: float | None = 0.25) -> Any:
    """Conv, Leaky, average pool, flatten, linear, Synaptic (or Leaky); inputs ``[1, 1, 8, 8]``."""
    import snntorch as snn
    from torch import nn

    first = snn.Leaky(
        beta=full(beta, 2, 8, 8), threshold=full(4.0, 2, 8, 8), init_hidden=True, reset_mechanism=reset
    )
    common: dict[str, Any] = {"threshold": full(6.0, 5), "init_hidden": True, "reset_mechanism": reset}
    last = (
        snn.Leaky(beta=full(beta, 5), **common)
        if synapse is None
        else snn.Synaptic(alpha=full(synapse, 5), beta=full(beta, 5), **common)
    )
    conv = nn.Conv2d(1, 2, 3, padding=1)
    return on_grid(nn.Sequential(conv, first, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 5), last))


def spikingjelly_residual(tau: float = 2.0, decay_input: bool = False, v_reset: float | None = 0.0) -> Any:
    """Two convolutions with an identity shortcut of spikes, IF neurons at the end; ``[1, 1, 8, 8]``."""
    from spikingjelly.activation_based import layer, neuron
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = layer.Conv2d(1, 2, 3, padding=1)
            self.sn1 = neuron.LIFNode(tau=tau, decay_input=decay_input, v_threshold=4.0, v_reset=v_reset)
            self.conv2 = layer.Conv2d(2, 2, 3, padding=1, bias=False)
            self.sn2 = neuron.LIFNode(tau=tau, decay_input=decay_input, v_threshold=3.0, v_reset=v_reset)
            self.pool = layer.AvgPool2d(2)
            self.flat = layer.Flatten()
            self.fc = layer.Linear(32, 5)
            self.out = neuron.IFNode(v_threshold=5.0, v_reset=v_reset)

        def forward(self, x: Any) -> Any:
            spikes = self.sn1(self.conv1(x))
            spikes = self.sn2(self.conv2(spikes) + spikes)
            return self.out(self.fc(self.flat(self.pool(spikes))))

    return on_grid(Residual())


def norse_dense(share: float = 0.5) -> Any:
    """Linear, LIFBox, linear, LIF with a current, linear, IAF, linear, LIBox; inputs ``[1, 12]``.

    `share` of the membrane is renewed in a timestep of 1 ms.
    """
    import norse.torch as norse
    import torch
    from torch import nn

    def inverse(*shape: int) -> Any:
        return full(share / 0.001, *shape)

    zero = torch.zeros(6)
    return on_grid(
        norse.SequentialState(
            nn.Linear(12, 6),
            norse.LIFBoxCell(norse.LIFBoxParameters(inverse(6), zero, full(2.0, 6), zero)),
            nn.Linear(6, 6),
            norse.LIFCell(norse.LIFParameters(inverse(6), inverse(6), zero, full(2.0, 6), zero)),
            nn.Linear(6, 6),
            norse.IAFCell(norse.IAFParameters(full(5.0, 6), zero)),
            nn.Linear(6, 6),
            norse.LIBoxCell(norse.LIBoxParameters(inverse(6), zero)),
        )
    )


def norse_conv(share: float = 0.5) -> Any:
    """Conv, LIFBox, strided conv, IAF, conv over the whole map, LIFBox; inputs ``[1, 1, 8, 8]``."""
    import norse.torch as norse
    import torch
    from torch import nn

    def box(threshold: float, *shape: int) -> Any:
        zero = torch.zeros(shape)
        parameters = norse.LIFBoxParameters(full(share / 0.001, *shape), zero, full(threshold, *shape), zero)
        return norse.LIFBoxCell(parameters)

    iaf = norse.IAFParameters(full(5.0, 3, 4, 4), torch.zeros(3, 4, 4))
    return on_grid(
        norse.SequentialState(
            nn.Conv2d(1, 2, 3, padding=1),
            box(2.0, 2, 8, 8),
            nn.Conv2d(2, 3, 3, stride=2, padding=1),
            norse.IAFCell(iaf),
            nn.Conv2d(3, 5, 4),
            box(1.0, 5, 1, 1),
        )
    )


def sinabs_conv(tau: float = 1 / np.log(2), norm_input: bool = True) -> Any:
    """Conv, IAF, sum pool, flatten, linear, LIF, linear, ExpLeak; single spikes; inputs ``[1, 1, 8, 8]``."""
    import sinabs.activation as sa
    import sinabs.layers as sl
    import torch
    from torch import nn

    once: dict[str, Any] = {"batch_size": 1, "spike_fn": sa.SingleSpike}
    return on_grid(
        nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1),
            sl.IAFSqueeze(spike_threshold=torch.tensor(4.0), **once),
            sl.SumPool2d(2),
            nn.Flatten(),
            nn.Linear(32, 5),
            sl.LIFSqueeze(tau_mem=full(tau, 5), spike_threshold=full(6.0, 5), norm_input=norm_input, **once),
            nn.Linear(5, 5),
            sl.ExpLeakSqueeze(tau_mem=full(tau, 5), batch_size=1),
        )
    )


def play(framework: str, module: Any, frames: np.ndarray) -> dict[str, np.ndarray]:
    """What every neuron of `module` puts out: ``[T, ...]`` by the name of its module; frames ``[T, ...]``."""
    import torch

    found: dict[str, list[np.ndarray]] = {}

    def watch(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            value = output[0] if isinstance(output, tuple) else output
            found.setdefault(name, []).append(value.detach().numpy().copy())

        return hook

    neuron = f"{framework}."
    hooks = [
        part.register_forward_hook(watch(name))
        for name, part in module.named_modules()
        if type(part).__module__.startswith(neuron) and hasattr(part, _STATES[framework])
    ]
    inputs = torch.tensor(frames.astype(np.float32))
    with torch.no_grad():
        if framework == "sinabs":  # its layers take all timesteps at once
            module(inputs)
        else:
            state = None
            for frame in inputs:
                if framework == "norse":
                    _, state = module(frame[None], state)
                else:
                    module(frame[None])
    for hook in hooks:
        hook.remove()
    if framework == "sinabs":
        return {name: values[0] for name, values in found.items()}
    return {name: np.concatenate(values) for name, values in found.items()}


def forget(framework: str, module: Any) -> None:
    """Put all membranes and currents of `module` back to where a sequence starts."""
    for part in module.modules():
        if framework == "spikingjelly" and hasattr(part, "v_threshold"):
            part.reset()
        elif framework == "snntorch" and hasattr(part, "reset_mechanism"):
            part.reset_mem()
        elif framework == "sinabs" and hasattr(part, "reset_states"):
            part.reset_states()


def module_name(name: str) -> str:
    """The module behind a node of a NIR file; exporters write the module `0` as `0` or `_0`, and neurons with
    feedback as a graph whose neurons are called ``lif``.
    """
    return name.lstrip("_").removesuffix(".lif")
