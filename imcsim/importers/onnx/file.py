"""Reads ONNX files: weights, and the graph of the layers between neurons.

ONNX knows no neurons. They stand where the graph has an activation (Relu, Clip, Greater, or a node of another
domain than ONNX's own), and what they do comes from the options or from a YAML file::

    neuron: {tau: 2.0, threshold: 1.0, reset: soft}     # all of them
    neurons:                                            # single ones, by the name of the node
      /features/2/Relu: {threshold: 0.7}
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.yamlfile import YamlDocument, read_yaml
from imcsim.importers.apart import read_apart
from imcsim.importers.importing.layers import Neuron, ReadModel, ReadOptions, ReadRelu
from imcsim.importers.listed.layer_entry import Entry
from imcsim.importers.listed.neuron_keys import check_keys, make_neuron
from imcsim.importers.onnx.nodes import Walk

_TOP = ("schema", "name", "input", "timesteps", "classes", "neuron", "neurons")


def read(path: Path, options: ReadOptions) -> ReadModel:
    """The network in the ONNX file `path`; needs the extra ``onnx``.

    `options.neuron`, or ``neuron:`` in `options.layers_file`, says what the neurons do. Raises ImcsimError,
    naming the node, for operators that are not modelled and for neurons without a description.
    """
    if options.framework not in ("auto", "nir") or options.dt is not None:
        raise ImcsimError("--framework and --dt are for NIR files", file=path, fix="say it under `neuron:`")
    words = _Words(path, options)
    document, arrays = read_apart("onnx_graph", path)
    walk = Walk(path, document, arrays, options.input_shape or words.input_shape, words.neuron)
    output = walk.layers_to_output()
    words.check_names({layer.name for layer in walk.layers if isinstance(layer, Neuron | ReadRelu)})
    for name in document["beside"]:
        with path.with_name(name).open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        walk.notes.append(f"weights come from {name}, beside the file (sha256 {sha256})")
    source: dict[str, Any] = {
        "file": str(path),
        "format": "onnx",
        "framework": "list",
        "notes": walk.notes,
        "affirmed": walk.affirmed,
        **words.source,
    }
    if options.timesteps is not None:
        source["timesteps"] = options.timesteps
    return ReadModel(options.name or words.name or path.stem, walk.shape, tuple(walk.layers), output, source)


class _Words:
    """What options and YAML say of the network that an ONNX file does not."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.options = path, options
        self.document: YamlDocument | None = None
        self.default: dict[str, Any] = {}
        self.single: dict[str, dict[str, Any]] = {}
        self.source: dict[str, Any] = {}
        self.input_shape: tuple[int, ...] | None = None
        self.name: str | None = None
        if options.layers_file is not None:
            self._from_yaml(options.layers_file)
        self.default |= options.neuron or {}
        if not _is_activation(self.default):
            check_keys(self.default, self._fail("neuron"))

    def _from_yaml(self, file: Path) -> None:
        self.document = read_yaml(file)
        top = Entry(self.document, (), self.document.data, _TOP, {}, set())
        if top.has("neuron"):
            self.default = top.mapping("neuron")
        if top.has("neurons"):
            for name, keys in top.mapping("neurons").items():
                if not isinstance(keys, dict):
                    raise self.document.error(
                        ("neurons", name), "must be a mapping", fix="write {threshold: 1.0}"
                    )
                if not _is_activation(keys):
                    check_keys(keys, self._fail("neurons", name))
                self.single[name] = keys
        if top.has("input"):
            image = top.section("input", ("shape", "scale"))
            self.input_shape = image.integers("shape") if image.has("shape") else None
            if image.has("scale"):
                self.source["input_scale"] = image.number("scale")
        for key in ("timesteps", "classes"):
            if top.has(key):
                self.source[key] = top.integer(key)
        self.name = top.text("name") if top.has("name") else None

    def _fail(self, *place: str) -> Any:
        def fail(key: str, message: str, fix: str | None) -> ImcsimError:
            if self.document is None:
                return ImcsimError(message, file=self.path, key=f"neuron.{key}", fix=fix)
            return self.document.error((*place, key), message, fix=fix)

        return fail

    def neuron(self, name: str, inputs: tuple[str, ...], stated: Mapping[str, Any]) -> Neuron | ReadRelu:
        """The neurons that stand at the activation `name`; `stated` is what the node itself says."""
        if not self.default and name not in self.single:
            raise ImcsimError(
                "the file does not say what the neurons at this activation do",
                file=self.path,
                key=name,
                fix="give --layers FILE with `neuron: {tau: 2.0, threshold: 1.0, reset: hard}`",
            )

        def tensor(key: str, wanted: str) -> NDArray[Any]:
            raise self._fail("neuron")(key, f"must be a number here, not {wanted!r:.60}", "write a number")

        single = self.single.get(name, {})
        for place, found in ((("neurons", name), single), (("neuron",), {} if single else self.default)):
            if _is_activation(found):
                return _activation(name, inputs, found, self._fail(*place))
        keys = {**stated, **single}
        fail = self._fail(*(("neurons", name) if name in self.single else ("neuron",)))
        return make_neuron(name, inputs, keys, self.default, self.options, tensor, fail)

    def check_names(self, known: set[str]) -> None:
        """Raise ImcsimError where the YAML describes neurons that the graph does not have."""
        for name in self.single:
            if name not in known:
                assert self.document is not None
                listed = ", ".join(sorted(known)[:6]) or "none"
                raise self.document.error(
                    ("neurons", name), "the graph has no activation of this name", fix=f"it has {listed}"
                )


def _is_activation(keys: Mapping[str, Any]) -> bool:
    """Whether a description is that of activations in whole steps."""
    return not set(keys).isdisjoint(("bits", "step"))


def _activation(name: str, inputs: tuple[str, ...], keys: Mapping[str, Any], fail: Any) -> ReadRelu:
    """``{bits: 4, step: 0.2}``: activations in the place of neurons."""
    for key in keys:
        if key not in ("bits", "step"):
            raise fail(key, "activations have bits and step alone", "neurons have neither")
    bits, step = keys.get("bits"), keys.get("step")
    if not isinstance(bits, int | float) or isinstance(bits, bool) or bits != int(bits):
        raise fail("bits", f"must be a whole number, not {bits!r:.40}", "write bits: 4")
    if not isinstance(step, int | float) or isinstance(step, bool):
        raise fail("step", f"must be a number, not {step!r:.40}", "write step: 0.2")
    return ReadRelu(name, inputs, int(bits), float(step))
