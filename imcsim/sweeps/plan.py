"""Which runs of values a sweep needs, so that each happens once, whoever computes it.

Points are put together by what their values depend on (see sweeps.cache); timing, energies, thresholds, exit
rules and shorter T do not count. What cannot be told here, because a point is not sound, is left to the
point's own row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from imcsim.errors import ImcsimError
from imcsim.experiment import fitting
from imcsim.hardware.config import HardwareConfig
from imcsim.inputs import Inputs
from imcsim.loading import Shelf, calibration_sha256, network_sha256, timesteps_of
from imcsim.options import Setting
from imcsim.simulate import depends_on_values, nonideal, numerics
from imcsim.sweeps.cache import Longest, digest, value_numerics
from imcsim.sweeps.spec import Point
from imcsim.timing import parse

Role = Literal["scales", "images", "validation"]
VALUE_BLOCKS = ("cells", "column_mux", "adc", "lif", "checker", "activity", "nonideal")
"""Blocks of the config that numerics and the need of recorded values are read from."""


@dataclass
class Run:
    """One run of values: that of the point `setting` for the longest T that any point needs."""

    key: str
    role: Role
    setting: Setting
    longest: Longest | None
    after: str | None
    """The run that sets the ADC scales, if there is one."""
    record: bool = False
    toggles: bool = False


@dataclass(frozen=True)
class Needs:
    """What a point waits for: runs, and which run holds the values of which inputs."""

    runs: tuple[str, ...] = ()
    longest: tuple[tuple[str, Longest], ...] = ()


@dataclass
class Plan:
    """The runs of a sweep by key, and how points use them."""

    runs: dict[str, Run] = field(default_factory=dict)
    needs: dict[int, Needs] = field(default_factory=dict)

    @property
    def functional_runs(self) -> int:
        """Runs over reported or validation images; those that set ADC scales come on top."""
        return sum(run.role != "scales" for run in self.runs.values())


def make_plan(points: Iterable[Point], shelf: Shelf | None = None) -> Plan:
    """The runs that `points` need."""
    planner = _Planner(shelf or Shelf())
    points = list(points)
    planner.look_ahead(points)
    for point in points:
        planner.add(point)
    return planner.plan


@dataclass(frozen=True)
class _Shown:
    """Inputs as a run of T timesteps shows them, and the longest run that begins like it."""

    sha256: str
    longest: Longest
    source: Setting


class _Planner:
    def __init__(self, shelf: Shelf) -> None:
        self.plan = Plan()
        self._shelf = shelf
        self._most: dict[str, int] = {}
        self._configs: dict[str, HardwareConfig | None] = {}
        self._shown: dict[str, _Shown | None] = {}
        self._scales: dict[str, str | None] = {}
        self._needs: dict[Needs, Needs] = {}
        self._alike: dict[tuple[Any, ...], Needs] = {}
        self._sound: set[str] = set()

    def look_ahead(self, points: list[Point]) -> None:
        """The largest T of all points that run the same network."""
        for point in points:
            key = str(point.setting.model)
            try:
                timesteps = timesteps_of(point.setting, self._shelf.network(point.setting))
            except ImcsimError:
                continue
            self._most[key] = max(self._most.get(key, 0), timesteps)

    def add(self, point: Point) -> None:
        setting = point.setting
        blocks = {k: v for k, v in setting.overrides.items() if k.split(".")[0] in VALUE_BLOCKS}
        about = self._exact_key(setting), str(setting.hardware), repr(blocks)
        key = (*about, setting.options.threshold is None, setting.options.issue)
        if key in self._alike:
            self.plan.needs[point.index] = self._alike[key]
            return
        self._look_at(point)
        # Blocks that change no value may still be wrong together: then the whole config was read, for one.
        if digest(str(setting.hardware), sorted(map(repr, blocks.items()))) in self._sound:
            self._alike[key] = self.plan.needs[point.index]

    def _look_at(self, point: Point) -> None:
        if parse(point.setting.options.issue).kind == "pipeline":
            self.plan.needs[point.index] = Needs()  # nothing leaves early from a pipeline: its row says so
            return
        config = self._config(point.setting)
        shown = self._see(point.setting, "images") if config is not None else None
        if config is None or shown is None:
            self.plan.needs[point.index] = Needs()
            return
        held_out = self._see(point.setting, "validation")
        network = network_sha256(self._shelf.network(point.setting))
        facts = replace(numerics(config), nonideal=nonideal(config, point.setting.options.seed))
        values = value_numerics(facts)
        after = self._scale(point.setting, config, network, values)
        used = [("images", shown)]
        if held_out is not None and point.setting.options.threshold is None:
            used.append(("validation", held_out))
        keys = [] if after is None else [after]
        for role, one in used:
            key = digest("run", network, values, self._scales_of(point.setting), one.longest.inputs_sha256)
            if key not in self.plan.runs:
                setting = replace(
                    one.source, hardware=point.setting.hardware, overrides=point.setting.overrides
                )
                self.plan.runs[key] = Run(key, _role(role), setting, one.longest, after)
            run = self.plan.runs[key]
            run.record |= depends_on_values(config)
            run.toggles |= config.activity.toggling == "counted"
            keys.append(key)
        needs = Needs(tuple(keys), tuple((one.sha256, one.longest) for _, one in used))
        # A million points share a few of these.
        self.plan.needs[point.index] = self._needs.setdefault(needs, needs)

    def _scale(
        self, setting: Setting, config: HardwareConfig, network: str, values: Mapping[str, Any]
    ) -> str | None:
        calibration = self._scales_of(setting)
        if config.adc.full_scale == "ideal" or config.adc.bits is None or calibration is None:
            return None
        key = digest("scales", network, values, calibration)
        self.plan.runs.setdefault(key, Run(key, "scales", setting, None, None))
        return key

    def _scales_of(self, setting: Setting) -> str | None:
        """The hash of the images that set a point's ADC scales."""
        key = self._exact_key(setting)
        if key not in self._scales:
            try:
                images = self._shelf.validation(setting) or self._shelf.inputs(setting)
                self._scales[key] = calibration_sha256(images)
            except ImcsimError:
                self._scales[key] = None
        return self._scales[key]

    def _config(self, setting: Setting) -> HardwareConfig | None:
        """A config that changes values as the point's does: other blocks are left alone, to read fewer."""
        few = {k: v for k, v in setting.overrides.items() if k.split(".")[0] in VALUE_BLOCKS}
        for overrides in (few, setting.overrides):
            key = digest(str(setting.hardware), sorted(map(repr, overrides.items())))
            if key not in self._configs:
                try:
                    config = self._shelf.hardware(replace(setting, overrides=overrides)).config
                except ImcsimError:
                    self._configs[key] = None
                else:
                    self._configs[key] = config
            if self._configs[key] is not None:
                self._sound.add(key)
                return self._configs[key]
        return None

    def _see(self, setting: Setting, role: Role) -> _Shown | None:
        key = f"{role} {self._exact_key(setting)}"
        if key not in self._shown:
            try:
                self._shown[key] = self._look(setting, role)
            except ImcsimError:
                self._shown[key] = None
        return self._shown[key]

    def _look(self, setting: Setting, role: Role) -> _Shown | None:
        network = self._shelf.network(setting)
        timesteps = timesteps_of(setting, network)
        most = self._most.get(str(setting.model), timesteps)
        inputs = self._read(setting, role)
        if inputs is None:
            return None
        shown = fitting(inputs, network, timesteps)
        if not shown.timed:
            return _Shown(shown.sha256, Longest(shown.sha256, most), _at(setting, most))
        try:
            longer = self._read(_at(setting, most), role)
            if longer is not None and longer.first(timesteps).sha256 == shown.sha256:
                whole = longer.first(most)
                return _Shown(shown.sha256, Longest(whole.sha256, most), _at(setting, most))
        except ImcsimError:  # too few frames for the longest run
            pass
        return _Shown(shown.sha256, Longest(shown.sha256, timesteps), setting)

    def _read(self, setting: Setting, role: Role) -> Inputs | None:
        return self._shelf.validation(setting) if role == "validation" else self._shelf.inputs(setting)

    def _inputs_key(self, setting: Setting) -> str:
        about = setting.inputs, setting.validation, setting.model, setting.images, setting.encoding
        return repr((*map(str, about), setting.labels, setting.bin_us, setting.options.seed))

    def _exact_key(self, setting: Setting) -> str:
        return f"{self._inputs_key(setting)} {setting.options.timesteps}"


def _at(setting: Setting, timesteps: int) -> Setting:
    return replace(setting, options=replace(setting.options, timesteps=timesteps))


def _role(name: str) -> Role:
    return "validation" if name == "validation" else "images"
