"""Which runs of values a sweep needs, so that each happens once, whoever computes it.

Points are put together by what their values depend on (see `simulation.cache`); timing, energies, thresholds,
exit rules and shorter T do not count. What cannot be told here, because a point is not sound, is left to the
point's own row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from imcsim.base.errors import ImcsimError
from imcsim.functional.program.numerics import Numerics
from imcsim.hardware.config import HardwareConfig
from imcsim.inputs import Inputs
from imcsim.simulation.cache import LongestRun, digest, value_numerics
from imcsim.simulation.chip import depends_on_values, nonideal, numerics, without_errors
from imcsim.studies.experiment import fitting
from imcsim.studies.loading import Loader, network_sha256, timesteps_of
from imcsim.studies.settings import MAX_CHIPS, RunSettings
from imcsim.sweeps.spec import SweepPoint
from imcsim.timing import parse

Role = Literal["scales", "chip", "images", "validation"]
"""What is run: calibration images for ADC scales, those for what else they set on a chip with errors, or the
images themselves.
"""

VALUE_BLOCKS = (
    "cells",
    "column_mux",
    "adc",
    "lif",
    "checker",
    "activity",
    "encoder",
    "nonideal",
    "tile_types",
)
"""Blocks of the config that numerics and the need of recorded values are read from."""


@dataclass
class ValueRun:
    """One run of values: that of the point `setting` for the longest T that any point needs."""

    key: str
    role: Role
    setting: RunSettings
    longest: LongestRun | None
    after: str | None
    """The run that comes before it, as it sets ADC scales or neurons; if there is one."""
    ideal: bool = False
    """On the chip as it would be without errors."""
    record: bool = False
    toggles: bool = False


def plays_validation(setting: RunSettings, validation_sha256: str, inputs_sha256: str) -> bool:
    """Whether a point that has validation images plays them: to choose its threshold, and to judge it for a
    front where they are not the reported images themselves. On many chips there is nothing to judge by.
    """
    judging = setting.chips is None and validation_sha256 != inputs_sha256
    return judging or setting.options.threshold is None


@dataclass(frozen=True)
class Needs:
    """What a point waits for: runs, and which run holds the values of which inputs."""

    runs: tuple[str, ...] = ()
    longest: tuple[tuple[str, LongestRun], ...] = ()


@dataclass
class Plan:
    """The runs of a sweep by key, and how points use them."""

    runs: dict[str, ValueRun] = field(default_factory=dict)
    needs: dict[int, Needs] = field(default_factory=dict)

    @property
    def functional_runs(self) -> int:
        """Runs over reported or validation images; those that calibrate a chip come on top."""
        return sum(run.role in ("images", "validation") for run in self.runs.values())

    @property
    def scales(self) -> int:
        """How often ADC scales are set."""
        return sum(run.role == "scales" for run in self.runs.values())


def make_plan(points: Iterable[SweepPoint], loader: Loader | None = None) -> Plan:
    """The runs that `points` need."""
    planner = _Planner(loader or Loader())
    points = list(points)
    planner.look_ahead(points)
    for point in points:
        planner.add(point)
    return planner.plan


@dataclass(frozen=True)
class _ShownInputs:
    """Inputs as a run of T timesteps shows them, and the longest run that begins like it."""

    sha256: str
    longest: LongestRun
    source: RunSettings


class _Planner:
    def __init__(self, loader: Loader) -> None:
        self.plan = Plan()
        self._loader = loader
        self._max_timesteps: dict[str, int] = {}
        self._configs: dict[str, HardwareConfig | None] = {}
        self._shown: dict[str, _ShownInputs | None] = {}
        self._scales: dict[str, str | None] = {}
        self._needs: dict[Needs, Needs] = {}
        self._needs_by_key: dict[tuple[Any, ...], Needs] = {}
        self._sound: set[str] = set()

    def look_ahead(self, points: list[SweepPoint]) -> None:
        """The largest T of all points that run the same network."""
        for point in points:
            key = str(point.setting.model)
            try:
                timesteps = timesteps_of(point.setting, self._loader.network(point.setting))
            except ImcsimError:
                continue
            self._max_timesteps[key] = max(self._max_timesteps.get(key, 0), timesteps)

    def add(self, point: SweepPoint) -> None:
        setting = point.setting
        blocks = {
            k: v
            for k, v in setting.overrides.items()
            if k.split(".")[0] in VALUE_BLOCKS or k.startswith("mapping.tile_types")
        }
        about = self._exact_key(setting), str(setting.hardware), repr(blocks)
        options = setting.options
        key = (*about, options.threshold is None, options.issue, options.chip, setting.chips)
        if key in self._needs_by_key:
            self.plan.needs[point.index] = self._needs_by_key[key]
            return
        self._look_at(point)
        # Blocks that change no value may still be wrong together: then the whole config was read, for one.
        if digest(str(setting.hardware), sorted(map(repr, blocks.items()))) in self._sound:
            self._needs_by_key[key] = self.plan.needs[point.index]

    def _look_at(self, point: SweepPoint) -> None:
        if not parse(point.setting.options.issue).exits_early:
            self.plan.needs[point.index] = Needs()  # a comparison needs early exit: the point's row says so
            return
        config = self._config(point.setting)
        shown = self._see(point.setting, "images") if config is not None else None
        if config is None or shown is None:
            self.plan.needs[point.index] = Needs()
            return
        setting = point.setting
        held_out = self._see(setting, "validation")
        used: list[tuple[Role, _ShownInputs]] = [("images", shown)]
        if held_out is not None and plays_validation(setting, held_out.sha256, shown.sha256):
            used.append(("validation", held_out))
        network = network_sha256(self._loader.network(setting))
        keys: dict[str, None] = {}
        for chip in _chips(setting, config):
            keys |= dict.fromkeys(self._runs(setting, chip, network, used))
        needs = Needs(tuple(keys), tuple((one.sha256, one.longest) for _, one in used))
        # A million points share a few of these.
        self.plan.needs[point.index] = self._needs.setdefault(needs, needs)

    def _runs(
        self,
        setting: RunSettings,
        chip: _PlannedChip,
        network: str,
        used: Sequence[tuple[Role, _ShownInputs]],
    ) -> list[str]:
        """The runs of one chip, in the order in which they can be done."""
        config, seed = chip.config, setting.options.seed
        facts = replace(numerics(config), nonideal=nonideal(config, seed, chip.number))
        values = value_numerics(facts)
        about = replace(setting, options=replace(setting.options, chip=chip.number), chips=None)
        keys = self._calibrations(about, chip, network, facts)
        after = keys[-1] if keys else None
        for role, one in used:
            shown = self._scales_of(setting), one.longest.inputs_sha256
            key = digest("run", network, values, *_own_scales(facts), *shown)
            if key not in self.plan.runs:
                source = replace(
                    one.source,
                    hardware=setting.hardware,
                    overrides=setting.overrides,
                    chips=None,
                    options=replace(one.source.options, chip=chip.number),
                )
                self.plan.runs[key] = ValueRun(key, role, source, one.longest, after, chip.ideal)
            run = self.plan.runs[key]
            run.record |= depends_on_values(config)
            run.toggles |= config.activity.toggling == "counted"
            keys.append(key)
        return keys

    def _calibrations(
        self, setting: RunSettings, chip: _PlannedChip, network: str, facts: Numerics
    ) -> list[str]:
        """The runs of calibration images, each after the one before: of the chip as it was to be, which many
        chips share, and then of this very one.
        """
        calibration, errors = self._scales_of(setting), facts.nonideal
        if calibration is None:
            return []
        keys: list[str] = []

        def add(key: str, role: Role) -> None:
            after = keys[-1] if keys else None
            self.plan.runs.setdefault(key, ValueRun(key, role, setting, None, after, chip.ideal))
            keys.append(key)

        wired = errors is not None and not errors.wires.ideal
        density = digest("active", network, value_numerics(replace(facts, nonideal=None)), calibration)
        own = _own_scales(facts)
        if own and wired:
            add(density, "chip")
        if facts.calibrates:
            designed = None if errors is None else errors.designed()
            if own and errors is not None:
                designed = replace(errors, neurons_recalibrated=False)
            shared = value_numerics(replace(facts, nonideal=designed))
            add(digest("scales", network, shared, *own, calibration), "scales")
        if wired and not own:
            add(density, "chip")
        if errors is not None and errors.neurons_recalibrated:
            add(digest("channels", network, value_numerics(facts), *own, calibration), "chip")
        return keys

    def _scales_of(self, setting: RunSettings) -> str | None:
        """The hash of the images that set a point's ADC scales."""
        key = self._exact_key(setting)
        if key not in self._scales:
            try:
                images = self._loader.validation(setting) or self._loader.inputs(setting)
                self._scales[key] = images.calibration_sha256
            except ImcsimError:
                self._scales[key] = None
        return self._scales[key]

    def _config(self, setting: RunSettings) -> HardwareConfig | None:
        """A config that changes values as the point's does: other blocks are left alone, to read fewer."""
        few = {k: v for k, v in setting.overrides.items() if k.split(".")[0] in VALUE_BLOCKS}
        for overrides in (few, setting.overrides):
            key = digest(str(setting.hardware), sorted(map(repr, overrides.items())))
            if key not in self._configs:
                try:
                    config = self._loader.hardware(replace(setting, overrides=overrides)).config
                except ImcsimError:
                    self._configs[key] = None
                else:
                    self._configs[key] = config
            if self._configs[key] is not None:
                self._sound.add(key)
                return self._configs[key]
        return None

    def _see(self, setting: RunSettings, role: Role) -> _ShownInputs | None:
        key = f"{role} {self._exact_key(setting)}"
        if key not in self._shown:
            try:
                self._shown[key] = self._look(setting, role)
            except ImcsimError:
                self._shown[key] = None
        return self._shown[key]

    def _look(self, setting: RunSettings, role: Role) -> _ShownInputs | None:
        network = self._loader.network(setting)
        timesteps = timesteps_of(setting, network)
        longest = self._max_timesteps.get(str(setting.model), timesteps)
        inputs = self._read(setting, role)
        if inputs is None:
            return None
        shown = fitting(inputs, network, timesteps)
        if not shown.timed:
            return _ShownInputs(shown.sha256, LongestRun(shown.sha256, longest), _at(setting, longest))
        try:
            longer = self._read(_at(setting, longest), role)
            if longer is not None and longer.first(timesteps).sha256 == shown.sha256:
                whole = longer.first(longest)
                return _ShownInputs(shown.sha256, LongestRun(whole.sha256, longest), _at(setting, longest))
        except ImcsimError:  # too few frames for the longest run
            pass
        return _ShownInputs(shown.sha256, LongestRun(shown.sha256, timesteps), setting)

    def _read(self, setting: RunSettings, role: Role) -> Inputs | None:
        return self._loader.validation(setting) if role == "validation" else self._loader.inputs(setting)

    def _inputs_key(self, setting: RunSettings) -> str:
        about = setting.inputs, setting.validation, setting.model, setting.images, setting.encoding
        return repr((*map(str, about), setting.labels, setting.bin_us, setting.options.seed))

    def _exact_key(self, setting: RunSettings) -> str:
        return f"{self._inputs_key(setting)} {setting.options.timesteps}"


def _at(setting: RunSettings, timesteps: int) -> RunSettings:
    return replace(setting, options=replace(setting.options, timesteps=timesteps))


def _own_scales(facts: Numerics) -> list[str]:
    """A mark for keys of chips whose ADC scales are set on themselves; nothing for others."""
    errors = facts.nonideal
    return ["own"] if errors is not None and errors.calibrated_itself and facts.calibrates else []


@dataclass(frozen=True)
class _PlannedChip:
    """A chip that a point runs: its config, and its number among those that the seed draws."""

    config: HardwareConfig
    number: int
    ideal: bool = False


def _chips(setting: RunSettings, config: HardwareConfig) -> Iterator[_PlannedChip]:
    """The chips of a point: one, or many and the ideal one before them."""
    first, chips = setting.options.chip, setting.chips
    if chips is None:
        yield _PlannedChip(config, first)
    elif first + chips <= MAX_CHIPS:  # else its row says so
        yield _PlannedChip(without_errors(config), first, ideal=True)
        if config.nonideal.active:
            for number in range(first, first + chips):
                yield _PlannedChip(config, number)
