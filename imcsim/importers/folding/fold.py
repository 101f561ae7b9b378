"""From the layers of a file to a network of the chip's kind, with real weights: nothing is rounded here.

Between two layers of neurons everything is linear and is carried along as a `Form`. Where neurons read a
form, it becomes nodes: batch norms, scales, gains and drifts go into the weights' scale and the bias, pooled
currents and weights after weights into one layer, sums into `Add`. All of that is exact; what has no exact
counterpart is refused with the name of the layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.importers.folding.form import (
    Form,
    PooledCurrents,
    Spikes,
    Unfit,
    delayed,
    finite,
    of,
    per_channel,
    spread,
    total,
)
from imcsim.importers.folding.linear import LinearFolding
from imcsim.importers.folding.nodes import Nodes
from imcsim.importers.folding.sizes_ahead import Size, sizes_ahead
from imcsim.importers.importing import layers as file
from imcsim.importers.importing.float_network import FloatNetwork
from imcsim.importers.importing.image import Image, image_shape, input_scale, timesteps_of
from imcsim.network.graph import LI, LIF, OWN, Relu
from imcsim.network.parameters import MAX_ACTIVATION_BITS

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Integrator:
    """The last layer, as long as it has no node: leaky integrators of a form."""

    layer: file.Neuron
    form: Form


def fold(
    model: file.ReadModel,
    image: Image | None = None,
    timesteps: int | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> FloatNetwork:
    """Turn `model` into nodes of the graph, exactly.

    `timesteps` is the T of the network (None: the file's, else 4); `input_shape` that of the images (None:
    the file's; a row of values may come from an image of as many). Raises ImcsimError, with the file, the
    layer and the reason, for what the chip has no counterpart of.
    """
    return _Fold(model, image or Image(), input_shape or model.input_shape).network(timesteps)


class _Fold:
    def __init__(self, model: file.ReadModel, image: Image, shape: tuple[int, ...]) -> None:
        self.model, self.image = model, image
        self.by_name = {layer.name: layer for layer in model.layers}
        self.bits = 8 if image.bits is None else image.bits
        self.file = model.source.get("file")
        self.forms: dict[str, Form | _Integrator] = {}
        self.votes = 1
        self.ahead: dict[str, Size] = {}
        """Sizes of the layers that delays read before they come."""
        self.nodes = Nodes(image_shape(shape))
        self.input_scale = input_scale(model, image, self.bits)
        self.linear = LinearFolding(self.nodes, self.bits, self.input_scale)

    # --- the walk

    def network(self, timesteps: int | None) -> FloatNetwork:
        if not self.model.layers:
            raise ImcsimError("it holds no layers", file=self.file, fix="is it the right file?")
        try:
            self.forms[file.INPUT] = self._image()
        except Unfit as unfit:
            raise ImcsimError(unfit.reason, file=self.file, key="input", fix=unfit.fix) from None
        used = self._used()
        self.ahead = sizes_ahead(used, self.nodes.image.shape, len(self.model.input_shape) == 1)
        for layer in used:
            try:
                with np.errstate(over="ignore", invalid="ignore"):
                    self.forms[layer.name] = self._layer(layer)
            except Unfit as unfit:
                raise self._refusal(layer.name, unfit) from None
        try:
            classes = self._output()
        except Unfit as unfit:
            raise self._refusal(self.model.output, unfit) from None
        border = self.linear.border
        return FloatNetwork(
            name=_network_name(self.model.name),
            input_shape=self.nodes.image.shape,
            input_bits=self.bits,
            input_scale=self.input_scale,
            classes=classes,
            timesteps=self._timesteps(timesteps),
            nodes=self.nodes.finished(),
            input_padding=() if border is None or not border.any() else tuple(float(v) for v in border),
            names=self.nodes.names,
            notes=tuple(self.nodes.notes),
            votes=self.votes,
        )

    def _timesteps(self, wanted: int | None) -> int:
        """T; a network of activations has one."""
        if not any(isinstance(node, Relu) for node in self.nodes.made):
            return timesteps_of(self.model, wanted)
        stated = self.model.source.get("timesteps") if wanted is None else wanted
        if stated not in (None, 1):
            raise ImcsimError(
                f"a network of activations has one timestep, not {stated}",
                file=self.file, key="timesteps", fix="leave it out",
            )  # fmt: skip
        return 1

    def _refusal(self, name: str, unfit: Unfit) -> ImcsimError:
        return ImcsimError(unfit.reason, file=self.file, key=name, fix=unfit.fix)

    def _used(self) -> list[file.Layer]:
        """The layers that the output depends on; the rest is left out, and said so."""
        by_name = self.by_name
        needed: set[str] = set()
        waiting = [("the output", self.model.output)]
        while waiting:
            reader, name = waiting.pop()
            if name in needed or name == file.INPUT:
                continue
            if name not in by_name:
                raise self._refusal(
                    reader,
                    Unfit(
                        f"reads {name!a}, but no layer is called that",
                        suggestion(name, by_name, "name a layer before it"),
                    ),
                )
            needed.add(name)
            waiting.extend((name, source) for source in by_name[name].inputs)
        idle = [layer.name for layer in self.model.layers if layer.name not in needed]
        if idle:
            self.nodes.notes.append(f"left out, because the output does not depend on it: {', '.join(idle)}")
        return [layer for layer in self.model.layers if layer.name in needed]

    def _image(self) -> Form:
        shape = self.nodes.image.shape
        mean = spread(self.image.mean or (0.0,), shape, False, "the mean")
        std = spread(self.image.std or (1.0,), shape, False, "the standard deviation")
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise Unfit(
                "mean and standard deviation must be finite, and the latter positive",
                "give those of the training run",
            )
        flat = "flatten" if len(self.model.input_shape) == 1 else None
        return of(self.nodes.image, flat=flat).affine(1.0 / std, -mean / std)

    def _layer(self, layer: file.Layer) -> Form | _Integrator:
        if isinstance(layer, file.Delayed):
            return self._delayed(layer)
        if isinstance(layer, file.Voting):
            return self._voting(layer)
        before = self.forms.get(layer.inputs[0]) if len(layer.inputs) == 1 else None
        if isinstance(before, _Integrator):
            return self._after_integrator(layer, before)
        form = self._read(layer)
        match layer:
            case file.Weights():
                return self.linear.weights(layer, form)
            case file.Norm():
                factor = spread(layer.factor, form.shape, form.row, "its factor")
                offset = spread(layer.offset, form.shape, form.row, "its offset")
                finite(factor=factor, offset=offset)
                return form.affine(factor, offset)
            case file.Neuron():
                return self._neuron(layer, form)
            case file.ReadRelu():
                return self._activation(layer, form)
            case file.ReadPool():
                return self.linear.pool(layer, form)
            case file.ReadFlatten():
                return form if form.row else replace(form, flat=layer.name)

    def _read(self, layer: file.Layer) -> Form:
        forms = []
        for name in layer.inputs:
            form = self.forms.get(name)
            if form is None:
                raise Unfit(f"reads {name!a}, which does not come before it", "networks must have no loops")
            if isinstance(form, _Integrator):
                raise self._analogue(form)
            forms.append(form)
        if not forms:
            raise Unfit("reads nothing", "name what it reads")
        return forms[0] if len(forms) == 1 else total([self.linear.without_pools(form) for form in forms])

    def _after_integrator(self, layer: file.Layer, before: _Integrator) -> _Integrator:
        """A scale of what integrators put out is a scale of what they read."""
        if isinstance(layer, file.ReadFlatten):
            return before
        if isinstance(layer, file.Norm) and not np.any(layer.offset):
            factor = spread(layer.factor, before.form.shape, before.form.row, "its factor")
            finite(factor=factor)
            return replace(before, form=before.form.affine(factor, np.zeros_like(factor)))
        raise self._analogue(before)

    def _analogue(self, before: _Integrator) -> Unfit:
        return Unfit(
            f"reads {before.layer.name!a}, leaky integrators, but layers exchange spikes",
            "only the last layer may be one that does not fire",
        )

    # --- layers

    def _voting(self, layer: file.Voting) -> Form | _Integrator:
        """At the end what votes is the output as it is, which the network averages; before that, averages of
        a row become part of the weights behind them.
        """
        if layer.name == self.model.output and len(layer.inputs) == 1:
            self.votes = layer.size
            return self.forms[layer.inputs[0]]
        form = self._read(layer)
        groups, rest = divmod(math.prod(form.shape), layer.size)
        if rest:
            raise Unfit(
                f"{math.prod(form.shape)} values do not part into votes of {layer.size}",
                "use a size that divides them",
            )
        averages = np.kron(np.eye(groups), np.full((1, layer.size), 1.0 / layer.size))
        return self.linear.weights(file.Weights(layer.name, layer.inputs, averages), form)

    def _delayed(self, layer: file.Delayed) -> Form:
        name = layer.inputs[0]
        if len(layer.inputs) == 1 and name not in self.forms:
            ahead, source = self.ahead.get(name), self.by_name.get(name)
            if not isinstance(source, file.Neuron) or not source.spiking:
                raise Unfit(
                    f"reads {name!a}, which comes after it", "only neurons may be read before they come"
                )
            if ahead is None:
                raise Unfit(
                    f"reads {name!a}, whose size cannot be known before it", "read more than the loop"
                )
            if layer.timesteps < 1:
                raise Unfit("its delay is below a timestep, but it closes a loop", "use a timestep or more")
            shape, row = ahead
            spikes = Spikes(
                self.nodes.reserved(name, "lif"), shape, row, source.max_spikes == 1, layer.timesteps
            )
            return of(spikes)
        return delayed(self._read(layer), layer.timesteps, self.nodes.image)

    def _neuron(self, layer: file.Neuron, form: Form) -> Form | _Integrator:
        about = {
            key: (_own if key in OWN and layer.spiking else _numbers)(getattr(layer, key), form, f"its {key}")
            for key in ("leak", "threshold", "synapse", "floor", "initial")
            if getattr(layer, key) is not None
        }
        gain = spread(layer.gain, form.shape, form.row, "its input gain")
        gain = gain * spread(layer.synapse_gain, form.shape, form.row, "its synaptic gain")
        drift = spread(layer.drift, form.shape, form.row, "its drift")
        finite(gain=gain, drift=drift, **about)
        apart: Values | None = None
        if layer.synapse is not None and drift.any():
            # What enters the synapse would be filtered: the membrane drifts by itself.
            if not layer.spiking:
                raise Unfit(
                    "its membrane drifts (towards a potential that is not the start) and has a synapse too",
                    "train with v_leak equal to the start of the membrane",
                )
            apart, drift = per_channel(drift, "its drift"), np.zeros_like(drift)
        for key in ("leak", "synapse"):
            if key in about and not ((about[key] >= 0) & (about[key] <= 1)).all():
                raise Unfit(
                    f"its {key} is {_worst(about[key]):g} a timestep, outside 0 to 1",
                    "is dt right? the time constants must not be shorter than a timestep",
                )
        if layer.spiking and not (about["threshold"] > 0).all():
            raise Unfit(
                f"its threshold lies {_worst(about['threshold']):g} above the reset potential: not above 0",
                "neurons must not fire by themselves: use a positive threshold",
            )
        if "floor" in about and (about["floor"] > 0).any():
            raise Unfit(
                f"its floor lies {_worst(about['floor']):g} above the value that a reset gives its membrane",
                "use a floor that is not above it",
            )
        if layer.spiking and (gain > 0).all() and (gain != gain[:, :1, :1]).any():
            # A membrane that counts in units of its own gain: what it is compared with is divided by that.
            each = gain / gain[:, :1, :1]
            gain, drift = gain[:, :1, :1], drift / each
            for key in {"threshold", "floor", "initial"} & about.keys():
                known = about[key]
                divided = (known if known.ndim == 3 else known[:, None, None]) / each
                about[key] = divided if key in OWN else per_channel(divided, f"its {key} by its gain")
        form = form.affine(gain, drift)
        if not layer.spiking:
            return _Integrator(layer, form)
        source, row = self.nodes.current(layer.name, form)
        name = self.nodes.named(layer.name, "lif")
        plain = {key: _plain(values) for key, values in about.items()}
        owned = [key for key in OWN if np.ndim(plain.get(key, 0.0)) == 3]
        if owned:
            self.nodes.notes.append(
                f"{layer.name} has a {' and a '.join(owned)} for each neuron, for lif.parameters neuron"
            )
        self.nodes.made.append(
            LIF(
                name,
                (source,),
                reset=layer.reset,
                fires=layer.fires,
                reset_at=layer.reset_at,
                drift=0.0 if apart is None else _plain(apart),
                max_spikes=layer.max_spikes,
                refractory=layer.refractory,
                **plain,
            )
        )
        ahead = self.ahead.get(layer.name)
        if ahead is not None and ahead != (form.shape, row):
            raise Unfit(
                f"it gives {form.shape} values, but what comes back to it has {ahead[0]}",
                "let both have one shape",
            )
        return of(Spikes(name, form.shape, row), flat=None if row else form.flat)

    def _activation(self, layer: file.ReadRelu, form: Form) -> Form:
        if not 1 <= layer.bits <= MAX_ACTIVATION_BITS:
            raise Unfit(
                f"its activations have {layer.bits} bits", f"quantise them to 1 to {MAX_ACTIVATION_BITS} bits"
            )
        if not 0 < layer.step < math.inf:
            raise Unfit(f"its activations have steps of {layer.step:g}", "steps are positive numbers")
        source, row = self.nodes.current(layer.name, form)
        name = self.nodes.named(layer.name, "relu")
        self.nodes.made.append(Relu(name, (source,), layer.bits, layer.step))
        return of(Spikes(name, form.shape, row), flat=None if row else form.flat)

    # --- the end

    def _output(self) -> int:
        """Make the last node; returns the number of classes."""
        form = self.forms[self.model.output]
        if isinstance(form, _Integrator):
            layer, form = form.layer, form.form
            source, _ = self.nodes.current(layer.name, form)
            leak = _plain(_numbers(layer.leak, form, "its leak"))
            synapse = None if layer.synapse is None else _plain(_numbers(layer.synapse, form, "its synapse"))
            self.nodes.made.append(LI(self.nodes.named(layer.name, "li"), (source,), leak, synapse))
        else:
            self._end(form)
        classes, rest = divmod(math.prod(form.shape), self.votes)
        if rest:
            raise Unfit(
                f"{math.prod(form.shape)} outputs do not part into votes of {self.votes}",
                "are these the votes of this network?",
            )
        stated = self.model.source.get("classes")
        if stated is not None and int(stated) != classes:
            raise Unfit(
                f"the output has {classes} values, but {stated} classes were stated",
                "leave classes out, or name the right output",
            )
        if form.shape[1:] != (1, 1):
            shown = " x ".join(map(str, form.shape))
            raise Unfit(f"the output is a {shown} map, not one value per class", "end with a classifier")
        if classes == 1:
            raise Unfit(
                "it has one output: there are no classes to choose from",
                "import a network with two classes or more",
            )
        return classes

    def _end(self, form: Form) -> None:
        base = form.terms[0].base
        if isinstance(base, PooledCurrents) and base.pool.kind != "max":
            form = self.linear.without_pools(form)
        last = self.nodes.made[-1] if self.nodes.made else None
        if isinstance(base, Spikes) and form.single and isinstance(last, LIF) and base.node == last.name:
            return
        source, _ = self.nodes.current(self.model.output, form)
        if isinstance(form.terms[0].base, PooledCurrents):
            self.nodes.made.append(LI(self.nodes.unique(f"{source}.out"), (source,), 0.0))
        if len(form.terms) > 1:
            # The graph ends with weights, LIF or LI: integrators that forget at once put out their current.
            self.nodes.made.append(LI(self.nodes.unique(f"{source}.out"), (source,), 0.0))
            self.nodes.notes.append(f"the output is a sum: integrators without memory ({source}.out) hold it")


def _own(value: object, form: Form, what: str) -> Values:
    """``[C]`` where the neurons of each channel have the same, else ``[C, H, W]``."""
    values = spread(value, form.shape, form.row, what)
    alike = bool((values == values[:, :1, :1]).all())
    return np.ascontiguousarray(values[:, 0, 0]) if alike else values


def _numbers(value: object, form: Form, what: str) -> Values:
    return per_channel(spread(value, form.shape, form.row, what), what)


def _plain(values: Values) -> float | Values:
    """One number where all channels have the same."""
    return float(values.flat[0]) if (values == values.flat[0]).all() else values


def _worst(values: Values) -> float:
    """The number to show of those that break a rule."""
    return float(values.min() if values.min() <= 0 else values.max())


def _network_name(name: str) -> str:
    """`name` with the characters that a network's name may have."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in name)[:64]
    return plain if plain[:1].isalpha() or plain[:1] == "_" else f"net_{plain}"[:64]
