"""The spec of a sweep: a base setting, axes, constraints; and the points that they make.

A spec is a YAML file::

    hardware: dtsnn_32nm          # name or file; so are model, inputs and validation
    images: 200                   # any option of `imcsim compare`, by its long name
    set: {adc.percentile: 99.9}   # keys of the hardware file that all points change
    axes:                         # every combination is a point; the last axis turns fastest
      adc.bits: [4, 5, 6]
      noc.flit_bits: {log: [16, 64, 3]}
      threshold: [null, 0.2]      # null: chosen on the validation images; [0.3, 0.2]: one per timestep
    zip:                          # keys that change together are one axis
      - {cells.rows: [64, 128], cells.columns: [64, 128]}
    constraints:
      - adc.bits < 6 or cells.rows > 64

File names are relative to the spec's folder, else to the current one.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from pydantic import Field, ValidationError

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.base.plugins import load_file
from imcsim.base.yamlfile import KeyPath, YamlDocument, read_yaml
from imcsim.hardware.explain import explain
from imcsim.studies.checking import Strict, check_name, plain, settings_model
from imcsim.studies.loading import Loader, validation_of
from imcsim.studies.settings import DECLARED, FILES, SETTINGS, RunSettings
from imcsim.sweeps.axes import BadAxis, axis_values
from imcsim.sweeps.constraints import BadConstraint, Constraint, parse_constraint
from imcsim.timing import parse as parse_issue

MAX_POINTS = 10_000_000


class SpecParts(Strict):
    """What the spec of a sweep holds besides settings of its runs."""

    name: str = Field(default="", max_length=200, description="Name of the sweep.")
    set: dict[str, Any] = Field(default_factory=dict, description=DECLARED["overrides"].meaning.text)
    axes: dict[str, Any] = Field(
        default_factory=dict, description="Values of settings and keys of the chip; all combinations are run."
    )
    zip: list[dict[str, Any]] = Field(
        default_factory=list, description="Settings and keys of the chip that change together."
    )
    constraints: list[str] = Field(default_factory=list, description="What must hold of every point.")
    plugins: list[str] = Field(default_factory=list, description=DECLARED["plugins"].meaning.text)


SpecModel = settings_model(
    "SpecModel", SETTINGS, SpecParts, "What a spec may hold. Settings may be axes as well."
)

_CHOICE = {"inputs", "validation", "threshold"}
"""What decides whether a threshold must be chosen."""


@dataclass(frozen=True)
class SweepAxis:
    """Keys that change together, and the values of each row."""

    keys: tuple[str, ...]
    """Those that change together."""
    rows: tuple[tuple[Any, ...], ...]
    """Their values, one row after the other."""


@dataclass(frozen=True)
class SweepPoint:
    """One run of a sweep."""

    index: int
    """Its number, from 0."""
    values: Mapping[str, Any]
    """What its axes say, by key."""
    setting: RunSettings
    """All that it is made of."""


@dataclass(frozen=True)
class Spec:
    """A spec that has been read."""

    path: Path
    """Where it stands."""
    data: Mapping[str, Any]
    """What the file says."""
    base: RunSettings
    """The settings that no axis changes."""
    axes: tuple[SweepAxis, ...]
    """What changes from point to point."""
    constraints: tuple[Constraint, ...]
    """What points must keep to be run."""
    _document: YamlDocument = field(repr=False)

    @property
    def name(self) -> str:
        """The name that it gives itself, else the file's."""
        return str(self.data.get("name") or self.path.stem)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all axes, in order."""
        return tuple(key for axis in self.axes for key in axis.keys)

    @property
    def sha256(self) -> str:
        """Hash over what it says; the order of keys counts only where it orders the points."""
        about = {**self.data, "axes": [[axis.keys, axis.rows] for axis in self.axes]}
        for key in ("zip", "name"):
            about.pop(key, None)
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    def points(self, loader: Loader | None = None) -> Iterator[SweepPoint]:
        """The points that the constraints leave, in order.

        Args:
            loader: Reads the chips that constraints ask about, each once. None: a new one.

        Raises:
            ImcsimError: Where a constraint has no answer.
        """
        loader = loader or Loader()
        index = 0
        for rows in itertools.product(*(axis.rows for axis in self.axes)):
            values = dict(zip(self.keys, itertools.chain.from_iterable(rows), strict=True))
            point = self.point(index, values, loader)
            if point is not None:
                yield point
                index += 1

    def point(self, index: int, values: Mapping[str, Any], loader: Loader) -> SweepPoint | None:
        """The point with these values of the axes; None where a constraint forbids it."""
        setting = self.base.changed({key: self._resolved(key, value) for key, value in values.items()})
        return SweepPoint(index, values, setting) if self._allowed(values, setting, loader) else None

    def _resolved(self, key: str, value: Any) -> Any:
        return resolve(value, key, self.path.parent) if key in FILES and value is not None else value

    def _allowed(self, values: Mapping[str, Any], setting: RunSettings, loader: Loader) -> bool:
        if not self.constraints:
            return True
        known = {**setting.values(), **self.base.overrides, **values}
        for position, constraint in enumerate(self.constraints):
            missing = [key for key in constraint.keys if key not in known]
            if missing:
                try:
                    known = _config_values(setting, self.base, loader) | known
                except ImcsimError:  # a point that cannot be built says so in its own row
                    continue
                for key in missing:
                    if key not in known:
                        raise self.error(("constraints", position), f"{key} is no key of the hardware file")
            try:
                if not constraint.holds(known):
                    return False
            except BadConstraint as error:
                raise self.error(("constraints", position), str(error)) from None
        return True

    def stands(self, path: KeyPath) -> bool:
        """Whether the file itself says something there; a command may have added to it."""
        return self._document.line(path) is not None

    def error(self, path: KeyPath, message: str, fix: str | None = None) -> ImcsimError:
        """An error with the line of the spec."""
        return self._document.error(path, message, fix=fix)


def load_spec(
    given: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
) -> Spec:
    """Read a spec from a YAML file, or from a mapping of the same form, and load its plug-ins.

    `overrides` are further keys of its ``set``, and win over those that stand there; `plugins` are further
    files of its ``plugins``. Raises ImcsimError, with file, line and key, for whatever is wrong with it.

    Args:
        given: The file, or what such a file says.
        overrides: Values by dotted key of the chip. None: none.
        plugins: Files of plug-ins.
    """
    return spec_of(overridden(spec_document(given), overrides, plugins))


def spec_document(given: str | Path | Mapping[str, Any]) -> YamlDocument:
    """A spec as plain data, from a file or a mapping. Raises ImcsimError."""
    if isinstance(given, Mapping):
        return YamlDocument(Path("spec"), _plain(given), {})
    if not isinstance(given, str | Path):
        fix = "give a YAML file, or a mapping of the same form"
        raise ImcsimError(f"cannot be {type(given).__name__}", key="spec", fix=fix)
    return read_yaml(given)


def overridden(
    document: YamlDocument, overrides: Mapping[str, Any] | None, plugins: Sequence[str] = ()
) -> YamlDocument:
    """The document with these keys in its ``set``, and these files in its ``plugins``, too."""
    data = document.data
    if plugins and isinstance(data, dict) and isinstance(data.get("plugins", []), list):
        data = {**data, "plugins": [*data.get("plugins", []), *(str(Path(p).resolve()) for p in plugins)]}
        document = replace(document, data=data)
    if not overrides or not isinstance(data, dict) or not isinstance(data.get("set", {}), dict):
        return document
    return replace(document, data={**data, "set": {**data.get("set", {}), **overrides}})


def _plain(given: Mapping[str, Any]) -> Any:
    """A mapping as a file would have held it."""
    try:
        return plain(dict(given))
    except ValueError as error:
        fix = "use texts, numbers, lists and mappings"
        raise ImcsimError(f"this is no spec: {error}", key="spec", fix=fix) from None


def spec_of(document: YamlDocument, max_points: int | None = MAX_POINTS) -> Spec:
    """The spec in a document that has been read, of at most `max_points` combinations. Raises ImcsimError."""
    if not isinstance(document.data, dict):
        raise document.error((), "expected `key: value` lines", fix="is this the spec of a sweep?")
    data = dict(document.data)
    # A setting with several values is an axis, wherever it stands.
    own = {key: data.pop(key) for key in SETTINGS if isinstance(data.get(key), list | dict)}
    model = _validated(document, (), data)
    loaded = _plugins(document, model)
    places: list[tuple[tuple[str, ...], tuple[KeyPath, ...], tuple[Any, ...]]] = []
    single: list[tuple[KeyPath, Any]] = [((key,), value) for key, value in own.items()]
    single += [(("axes", key), value) for key, value in model.axes.items()]
    for place, value in single:
        places.append(((str(place[-1]),), (place,), (value,)))
    for position, group in enumerate(model.zip):
        if not group:
            raise document.error(
                ("zip", position), "no keys to change together", fix="name some, or remove it"
            )
        at: tuple[KeyPath, ...] = tuple(("zip", position, key) for key in group)
        places.append((tuple(group), at, tuple(group.values())))
    axes = tuple(_axis(document, *place) for place in places)
    seen: set[str] = set()
    for keys, at, _ in places:
        for key, path in zip(keys, at, strict=True):
            if key in seen or key in model.set:
                raise document.error(path, "this key is given twice", fix="keep one of them")
            seen.add(key)
    count = math.prod(len(axis.rows) for axis in axes)
    if max_points is not None and count > max_points:
        raise document.error(("axes",), f"{count} combinations", fix=f"use at most {max_points}")
    constraints = tuple(_constraint(document, k, text) for k, text in enumerate(model.constraints))
    spec = Spec(document.path, document.data, _base(document, model, loaded), axes, constraints, document)
    _check_keys(spec, places)
    return spec


def resolve(name: str, kind: str, folder: Path) -> str:
    """`name` itself where it is built in or unknown, else the file's full path."""
    if name in _built_in(kind):
        return name
    for place in (folder / name, Path(name)):
        try:
            if place.exists():
                return str(place.resolve())
        except (OSError, ValueError):  # no file has such a name
            return name
    return name


def _built_in(kind: str) -> list[str]:
    import imcsim.hardware
    import imcsim.inputs
    import imcsim.network

    match kind:
        case "hardware":
            return imcsim.hardware.names()
        case "model":
            return imcsim.network.names()
        case "labels":
            return []
    return imcsim.inputs.names()


def _validated(document: YamlDocument, place: KeyPath, values: Any) -> SpecParts:
    """The model of `values`, settings included; errors name the place in the document."""
    try:
        model: Any = SpecModel.model_validate_json(json.dumps(values))
        return cast(SpecParts, model)
    except ValidationError as error:
        problem = explain(error, SpecModel, values)[0]
        raise document.error(place or problem.path, problem.message, fix=problem.fix) from None


def _axis(
    document: YamlDocument, keys: tuple[str, ...], places: tuple[KeyPath, ...], given: tuple[Any, ...]
) -> SweepAxis:
    columns = []
    for key, place, one in zip(keys, places, given, strict=True):
        try:
            values = axis_values(one)
        except BadAxis as error:
            raise document.error(place, error.message, fix=error.fix) from None
        if key in SETTINGS:
            for position, value in enumerate(values):
                at = (*place, position) if isinstance(one, list) else place
                _validated(document, at, {key: value})
                _check_name(document, at, key, value)
        elif "." not in key:
            raise document.error(
                place,
                "neither a setting nor a key of the hardware file",
                fix=suggestion(key, SETTINGS, f"settings are {', '.join(SETTINGS)}"),
            )
        columns.append(values)
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(f"{key} {len(c)}" for key, c in zip(keys, columns, strict=True))
        raise document.error(places[0][:-1], f"keys that change together have different lengths: {lengths}")
    rows = tuple(zip(*columns, strict=True))
    if len({json.dumps(row, sort_keys=True) for row in rows}) != len(rows):
        raise document.error(places[0], "a value stands twice", fix="remove one: every point is one row")
    return SweepAxis(keys, rows)


def _check_name(document: YamlDocument, place: KeyPath, key: str, value: Any) -> None:
    """Refuse an issue policy that cannot be read, a part of the simulator that is not there, and a network,
    a chip or inputs that no built-in ones and no file have as their name.
    """
    try:
        if key == "issue":
            parse_issue(value)
        check_name(key, value)
        if key in FILES and value is not None:
            _find(key, resolve(value, key, document.path.parent))
    except ImcsimError as error:
        if error.file is not None:  # a plug-in is broken, not the spec
            raise
        raise document.error(place, error.message, fix=error.fix) from None


def _find(key: str, name: str) -> None:
    """Raise ImcsimError, which names no file, where nothing has this name."""
    from imcsim.hardware import files
    from imcsim.inputs import find
    from imcsim.network import bundle

    path = {"hardware": files.find, "model": bundle.find, "labels": Path}.get(key, find)(name)
    try:
        found = path.exists()
    except (OSError, ValueError):  # no file has such a name
        found = False
    if not found:
        raise ImcsimError(f"there is no file {name[:200]!a}", fix="name one")


def _constraint(document: YamlDocument, position: int, text: str) -> Constraint:
    try:
        return parse_constraint(text)
    except BadConstraint as error:
        fix = "use keys, numbers, comparisons, arithmetic, and, or, not"
        raise document.error(("constraints", position), str(error), fix=fix) from None


def _plugins(document: YamlDocument, model: SpecParts) -> tuple[str, ...]:
    """Load the plug-ins of a spec: full paths of their files, which are relative to the spec's folder."""
    paths = []
    for position, name in enumerate(model.plugins):
        place = document.path.parent / name
        path = place if place.exists() else Path(name)
        if not path.exists():
            raise document.error(("plugins", position), f"there is no file {name[:200]!a}", fix="name it")
        paths.append(load_file(path).path)
    return tuple(paths)


def _base(document: YamlDocument, model: SpecParts, plugins: tuple[str, ...]) -> RunSettings:
    values = {key: getattr(model, key) for key in SETTINGS}
    for key in SETTINGS:
        _check_name(document, (key,), key, values[key])
    for key in FILES:
        if values[key] is not None:
            values[key] = resolve(values[key], key, document.path.parent)
    return RunSettings(overrides=dict(model.set), plugins=plugins).changed(values)


def _check_keys(spec: Spec, places: list[Any]) -> None:
    """Refuse a key that the hardware file cannot have, and what no point could use, before any run."""
    loader = Loader()
    if "hardware" not in spec.keys:
        config = _base_config(spec, loader)
        for keys, at, _ in places:
            axis = next(a for a in spec.axes if a.keys == keys)
            for column, (key, place) in enumerate(zip(keys, at, strict=True)):
                if key in SETTINGS or any(k == key or k.startswith(f"{key}.") for k in config):
                    continue
                errors = [_refusal(spec.base, key, row[column], loader) for row in axis.rows[:20]]
                if all(errors) and errors[0] is not None:
                    raise spec.error(place, errors[0].message, fix=errors[0].fix)
    choosing = spec.base.options.threshold is None and not _CHOICE & set(spec.keys)
    if choosing and validation_of(spec.base) is None:
        raise spec.error(
            ("inputs",), "inputs of your own bring no validation images", "give threshold, or validation"
        )
    if "model" not in spec.keys:
        loader.network(spec.base)
        if "inputs" not in spec.keys and "timesteps" not in spec.keys:
            loader.inputs(spec.base)
    for _ in itertools.islice(spec.points(loader), 1):  # constraints that cannot be judged are refused here
        return
    raise spec.error(("constraints",), "no point is left", fix="loosen the constraints")


def _base_config(spec: Spec, loader: Loader) -> dict[str, Any]:
    """The values of the base's chip by dotted key; what is wrong with an entry of ``set`` has its line."""
    try:
        return _config_values(spec.base, spec.base, loader)
    except ImcsimError as error:
        for key in spec.base.overrides:
            place = ("set", key)
            if error.file is None and error.key == f"override {key}" and spec.stands(place):
                raise spec.error(place, error.message, fix=error.fix) from None
        raise


def _refusal(base: RunSettings, key: str, value: Any, loader: Loader) -> ImcsimError | None:
    try:
        loader.hardware(base.changed({key: value}))
    except ImcsimError as error:
        return error
    return None


def _config_values(setting: RunSettings, base: RunSettings, loader: Loader) -> dict[str, Any]:
    """All values of a point's hardware file, with what every point sets, by dotted key."""
    plain = base.changed({"hardware": setting.hardware})
    return _flat(loader.hardware(plain).config.model_dump(mode="json", by_alias=True), "")


def _flat(section: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        found[f"{prefix}{key}"] = value
    return found
