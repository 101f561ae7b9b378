"""Static against dynamic timesteps, and one policy alone, as result documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import imcsim
from imcsim import result as doc
from imcsim.errors import ImcsimError
from imcsim.functional.checker import (
    accumulate,
    exit_timesteps,
    predictions,
    register,
    required_register,
    scale,
    tables,
    uncertainty,
)
from imcsim.hardware.config import Hardware
from imcsim.hardware.events import CHECKER_EVENTS, Event
from imcsim.hardware.ledger import Alive, charges, dynamic_alive, energy_pj, static_alive
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.options import CompareOptions
from imcsim.simulate import Chip, Progress, Simulation, make_chip, simulate

CURVE_POINTS = 60

Stay = NDArray[np.int64]
"""Timesteps that each image stays on the chip, int64 ``[images]``."""


def compare(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    options: CompareOptions | None = None,
    progress: Progress | None = None,
) -> doc.CompareResult:
    """Run static T = 1 .. T max and dynamic timesteps on the same images and chip.

    Without ``options.threshold`` the threshold is the largest (hence cheapest) with which the accuracy on `validation` is
    not below that of static T max. `validation` also calibrates the ADCs; without it the first inputs do.
    Raises ImcsimError when something does not fit, or when a threshold is to be chosen and `validation` is None.
    """
    bench = _Bench.make(network, hardware, inputs, validation, options or CompareOptions(), progress)
    choice = bench.choose()
    stay = bench.exits(bench.images, choice.register)
    last = bench.static(bench.timesteps)
    dynamic = bench.measured(stay)
    points = tuple(bench.static(t) for t in range(1, bench.timesteps + 1))
    return doc.CompareResult(
        meta=bench.meta(),
        static=points,
        dynamic=doc.Dynamic(
            rule=bench.options.rule,
            accumulation=bench.options.accumulation,
            threshold=choice.threshold,
            threshold_source="given" if choice.validation is None else "validation",
            validation=choice.validation,
            **dynamic,
        ),
        reduction=_reduction(last, dynamic),
        components=bench.components(stay, with_static=True),
        layers=bench.layers(stay),
        checker=bench.checker(),
        curve=bench.curve(choice),
        scaling=tuple(
            doc.ScalingPoint(
                timesteps=p.timesteps,
                energy_ratio=p.energy_pj / points[0].energy_pj,
                latency_ratio=p.latency_ns / points[0].latency_ns,
            )
            for p in points
        ),
        sensitivity=bench.sensitivity(stay),
        warnings=bench.warnings(),
    )


def run(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    options: CompareOptions | None = None,
    progress: Progress | None = None,
    *,
    policy: Literal["static", "dynamic"] = "dynamic",
) -> doc.RunResult:
    """Run one policy alone. See `compare` for the arguments and errors."""
    bench = _Bench.make(network, hardware, inputs, validation, options or CompareOptions(), progress)
    if policy == "static":
        stay = np.full(bench.images.activity.images, bench.timesteps, np.int64)
        about = doc.Policy(kind="static", timesteps=bench.timesteps)
    else:
        choice = bench.choose()
        stay = bench.exits(bench.images, choice.register)
        about = doc.Policy(
            kind="dynamic",
            timesteps=bench.timesteps,
            rule=bench.options.rule,
            accumulation=bench.options.accumulation,
            threshold=choice.threshold,
            threshold_source="given" if choice.validation is None else "validation",
            validation=choice.validation,
        )
    return doc.RunResult(
        meta=bench.meta(),
        policy=about,
        outcome=doc.Outcome(
            **bench.measured(stay),
            components=bench.components(stay, with_static=False),
            layers=bench.layers(stay),
            checker=bench.checker(),
        ),
        warnings=bench.warnings(),
    )


@dataclass(frozen=True)
class _Choice:
    """The threshold register's word, the threshold it stands for, and how it was chosen."""

    register: int
    threshold: float
    validation: doc.Validation | None


@dataclass(frozen=True, eq=False)
class _Bench:
    """One chip with its images (and validation images) simulated to T max."""

    hardware: Hardware
    inputs: Inputs
    validation: Inputs | None
    options: CompareOptions
    chip: Chip
    images: Simulation
    held_out: Simulation | None

    @classmethod
    def make(
        cls,
        network: Network,
        hardware: Hardware,
        inputs: Inputs,
        validation: Inputs | None,
        options: CompareOptions,
        progress: Progress | None,
    ) -> _Bench:
        timesteps = options.timesteps or network.timesteps
        choosing = options.threshold is None and validation is not None
        inputs.require(shape=network.input_shape, bits=network.input_bits, classes=network.classes)
        if validation is not None:
            validation.require(shape=network.input_shape, bits=network.input_bits, classes=network.classes)
        chip = make_chip(
            network,
            hardware,
            inputs if validation is None else validation,
            timesteps,
            mean=options.accumulation == "mean",
            workers=options.workers,
        )
        held_out = None
        if choosing and validation is not None:
            held_out = simulate(
                chip, validation, workers=options.workers, progress=progress, stage="validation images"
            )
        images = simulate(chip, inputs, workers=options.workers, progress=progress, stage="images")
        return cls(hardware, inputs, validation, options, chip, images, held_out)

    @property
    def timesteps(self) -> int:
        return self.chip.timeline.timesteps

    # --- who leaves when

    def required(self, simulation: Simulation) -> NDArray[np.int64]:
        """The smallest threshold register with which each image leaves after each timestep, ``[images, T]``."""
        numerics = self.chip.program.numerics.checker
        accumulated = accumulate(simulation.activity.outputs, self.options.accumulation)
        return required_register(*uncertainty(accumulated, self.options.rule, tables(numerics)))

    def exits(self, simulation: Simulation, word: int) -> Stay:
        return exit_timesteps(self.required(simulation), word)

    def _full_scale(self) -> float:
        return scale(self.options.rule, self.chip.network.classes, self.chip.program.numerics.checker)

    def choose(self) -> _Choice:
        """The given threshold, or the largest that costs no accuracy on the validation images."""
        classes, numerics = self.chip.network.classes, self.chip.program.numerics.checker
        if self.options.threshold is not None:
            word = register(self.options.threshold, self.options.rule, classes, numerics)
            return _Choice(word, self.options.threshold, None)
        if self.held_out is None or self.validation is None:
            raise ImcsimError(
                "a threshold must be chosen, but there are no validation images", fix="give a threshold or validation"
            )
        right = _right(self.held_out, self.validation)
        needed = self.required(self.held_out)
        largest = register(1.0, self.options.rule, classes, numerics)
        candidates = np.unique(needed[:, :-1])
        candidates = candidates[candidates <= largest]
        rows = np.arange(len(right))
        word = 0
        for candidate in candidates[::-1]:
            stay = exit_timesteps(needed, int(candidate))
            if right[rows, stay - 1].sum() >= right[:, -1].sum():
                word = int(candidate)
                break
        stay = exit_timesteps(needed, word)
        return _Choice(
            word,
            word / self._full_scale(),
            doc.Validation(
                images=len(right),
                accuracy_static=float(right[:, -1].mean()),
                accuracy_dynamic=float(right[rows, stay - 1].mean()),
                mean_timesteps=float(stay.mean()),
            ),
        )

    # --- what it costs

    def _costs(self, stay: Stay, energies: NDArray[np.float64] | None = None) -> tuple[NDArray[np.float64], ...]:
        """Energy (pJ) and latency (ns) of each image."""
        energy = self.images.energy_pj if energies is None else energies
        rows = np.arange(len(stay))
        return np.cumsum(energy, axis=1)[rows, stay - 1], self.images.latency_ns[stay - 1]

    def _sums(self, stay: Stay, energies: NDArray[np.float64] | None = None) -> dict[str, float]:
        energy, latency = self._costs(stay, energies)
        return {
            "energy_pj": float(energy.mean()),
            "latency_ns": float(latency.mean()),
            "edp_mean_of_products": float((energy * latency).mean()),
            "edp_product_of_means": float(energy.mean()) * float(latency.mean()),
        }

    def measured(self, stay: Stay) -> dict[str, object]:
        """The figures of a run, as the result document names them."""
        right = int(_right(self.images, self.inputs)[np.arange(len(stay)), stay - 1].sum())
        _, latency = self._costs(stay)
        # a percentile is the latency of an image, not a mixture of two
        p50, p95, p99 = np.percentile(latency, [50, 95, 99], method="inverted_cdf")
        low, high = doc.wilson_interval(right, len(stay))
        return {
            "accuracy": right / len(stay),
            "accuracy_low": low,
            "accuracy_high": high,
            "mean_timesteps": float(stay.mean()),
            "exit_fraction": tuple(float(np.mean(stay == t)) for t in range(1, self.timesteps + 1)),
            "latency_p50_ns": float(p50),
            "latency_p95_ns": float(p95),
            "latency_p99_ns": float(p99),
            **self._sums(stay),
        }

    def static(self, timesteps: int) -> doc.StaticPoint:
        """All images for `timesteps` timesteps; the checker works as in the dynamic run."""
        images = len(self.inputs.labels)
        stay = np.full(images, timesteps, np.int64)
        sums = self._sums(stay)
        right = int(_right(self.images, self.inputs)[:, timesteps - 1].sum())
        low, high = doc.wilson_interval(right, images)
        energy, cycles = self._without_checker(timesteps)
        return doc.StaticPoint(
            timesteps=timesteps,
            accuracy=right / images,
            accuracy_low=low,
            accuracy_high=high,
            edp_pj_ns=sums["edp_mean_of_products"],
            energy_without_checker_pj=sums["energy_pj"] - energy,
            latency_without_checker_ns=(int(self.chip.timeline.verdict_cycles[timesteps - 1]) - cycles)
            * self.chip.config.technology.clock_ns,
            **sums,
        )

    def _without_checker(self, timesteps: int) -> tuple[float, int]:
        """Energy (pJ) and cycles that the checker adds to a static run: its work, its leakage, and everybody's leakage
        while it works."""
        timeline = self.chip.timeline
        cycles = int((timeline.verdict_cycles - timeline.answer_cycles)[:timesteps].sum())
        total = int(timeline.verdict_cycles[timesteps - 1])
        energy = 0.0
        for charge in self.chip.prices():
            if charge.event == Event.POWERED_CYCLES:
                energy += charge.energy_pj * (total if charge.component == "checker" else cycles)
            elif charge.event in CHECKER_EVENTS:
                energy += charge.energy_pj * int(timeline.counts[charge.event][:timesteps].sum())
        return energy, cycles

    def _alive(self, stay: Stay) -> Alive:
        return dynamic_alive(stay, self.timesteps)

    def components(self, stay: Stay, *, with_static: bool) -> tuple[doc.Component, ...]:
        """The energy breakdown by component and action, means over the images."""
        images, config = len(stay), self.chip.config
        totals = self.images.ledger.totals(self._alive(stay))
        static = self.images.ledger.totals(static_alive(images, self.timesteps, self.timesteps))
        prices = self.chip.prices()
        whole = sum(int(totals[c.event].sum()) * c.energy_pj for c in prices if c.event in totals) / images
        rows = []
        for name, component in config.components():
            mine = [c for c in prices if c.component == name and c.event in totals]
            actions = tuple(
                doc.Action(
                    name="leakage" if c.event == Event.POWERED_CYCLES else str(c.event),
                    count=int(totals[c.event].sum()) / images,
                    energy_pj_each=c.energy_pj,
                    energy_pj=int(totals[c.event].sum()) * c.energy_pj / images,
                )
                for c in mine
            )
            energy = sum(a.energy_pj for a in actions)
            count = component.instances(config, self.chip.size)
            rows.append(
                doc.Component(
                    name=name,
                    energy_pj=energy,
                    share=energy / whole if whole else 0.0,
                    static_energy_pj=sum(int(static[c.event].sum()) * c.energy_pj for c in mine) / images
                    if with_static
                    else None,
                    area_um2=component.area_um2(config) * count,
                    count=count,
                    actions=actions,
                )
            )
        return tuple(rows)

    def layers(self, stay: Stay) -> tuple[doc.Layer, ...]:
        """The energy of each layer; input, output and leakage have rows of their own."""
        images, ledger = len(stay), self.images.ledger
        totals = ledger.totals(self._alive(stay))
        by_layer = np.zeros(len(ledger.layers))
        for charge in self.chip.prices():
            if charge.event in totals:
                by_layer += totals[charge.event].sum(axis=0) * (charge.energy_pj / images)
        whole = by_layer.sum()
        placed = {layer.stage.name: layer for layer in self.chip.placement.layers}
        rows = []
        for k, name in enumerate(ledger.layers):
            layer = placed.get(name)
            energy, share = float(by_layer[k]), float(by_layer[k] / whole) if whole else 0.0
            if layer is None:
                rows.append(
                    doc.Layer(
                        name=name, kind=name, rows=0, columns=0, crossbars=0, tiles=0, copies=0,
                        energy_pj=energy, share=share, spike_rate=None,
                    )
                )  # fmt: skip
                continue
            stage = layer.stage
            places = stage.positions * stage.out_channels * int(stay.sum())
            spikes = int(totals[Event.SPIKES][:, k].sum())
            rows.append(
                doc.Layer(
                    name=name,
                    kind=stage.kind,
                    rows=stage.rows,
                    columns=stage.out_channels * layer.slices,
                    crossbars=layer.crossbars,
                    tiles=len({p.tile for p in self.chip.placement.parts_of(stage.index)}),
                    copies=layer.copies,
                    energy_pj=energy,
                    share=share,
                    spike_rate=spikes / places if stage.neurons else None,
                )
            )
        return tuple(rows)

    def checker(self) -> doc.Checker:
        """One check: its energy, cycles and area, and its share of an average timestep of the static run."""
        config, timeline = self.chip.config, self.chip.timeline
        energy = sum(
            charge.energy_pj * int(timeline.counts[charge.event][0].sum())
            for charge in self.chip.prices()
            if charge.event in CHECKER_EVENTS
        )
        timestep = float(self.images.energy_pj.mean())
        return doc.Checker(
            energy_share_of_one_timestep=energy / timestep if timestep else 0.0,
            energy_pj_per_check=energy,
            cycles_per_check=config.checker.cycles(self.chip.network.classes),
            area_um2=config.checker.area_um2(config),
        )

    def curve(self, choice: _Choice) -> tuple[doc.CurvePoint, ...]:
        """The reported images at other thresholds; nothing is chosen here."""
        needed = self.required(self.images)
        largest = register(
            1.0, self.options.rule, self.chip.network.classes, self.chip.program.numerics.checker
        )
        spread = np.quantile(needed[:, 0], np.linspace(0, 1, CURVE_POINTS), method="inverted_cdf")
        words = {0, choice.register, largest} | {int(w) for w in spread if w <= largest}
        right = _right(self.images, self.inputs)
        points = []
        for word in sorted(words):
            stay = exit_timesteps(needed, word)
            points.append(
                doc.CurvePoint(
                    threshold=min(1.0, choice.threshold if word == choice.register else word / self._full_scale()),
                    accuracy=float(right[np.arange(len(stay)), stay - 1].mean()),
                    mean_timesteps=float(stay.mean()),
                    **self._sums(stay),
                )
            )
        return tuple(points)

    def sensitivity(self, stay: Stay) -> tuple[doc.SensitivityPoint, ...]:
        """The comparison priced with every ADC preset of the config; the counts are the same."""
        config = self.chip.config
        points = []
        for name, preset in config.adc.presets.items():
            changed = config.model_copy(update={"adc": config.adc.model_copy(update={"preset": name})})
            energies = energy_pj(self.images.ledger, charges(changed, self.chip.size))
            static = self._sums(np.full(len(stay), self.timesteps, np.int64), energies)
            dynamic = self._sums(stay, energies)
            points.append(
                doc.SensitivityPoint(
                    name=name,
                    used=name == config.adc.preset,
                    conversion_energy_pj=preset.conversion_energy_pj,
                    static_energy_pj=static["energy_pj"],
                    dynamic_energy_pj=dynamic["energy_pj"],
                    reduction=_reduction(static, dynamic),
                )
            )
        return tuple(points)

    # --- about the run

    def meta(self) -> doc.Meta:
        network, config = self.chip.network, self.chip.config
        accuracy = network.provenance.get("accuracy", {})
        size = self.chip.size
        return doc.Meta(
            version=imcsim.__version__,
            seed=self.options.seed,
            images=len(self.inputs.labels),
            timesteps=self.timesteps,
            fidelity="reference",
            policy="wait",
            hardware=doc.HardwareMeta(
                name=self.hardware.name,
                sha256=self.hardware.sha256,
                encoder=config.encoder.mode,
                clock_ns=config.technology.clock_ns,
                tiles=size.tiles,
                crossbars=self.chip.placement.crossbars,
                area_um2=sum(c.area_um2(config) * c.instances(config, size) for _, c in config.components()),
            ),
            network=doc.NetworkMeta(
                name=network.name,
                sha256=network.sha256,
                layers=len(network.weighted),
                weights=sum(int(n.weight.size) for n in network.weighted),
                accuracy_float_per_timestep=_stated(accuracy, "float_per_timestep"),
                accuracy_quantised_per_timestep=_stated(accuracy, "quantised_per_timestep"),
            ),
            inputs=doc.InputsMeta(name=self.inputs.name, sha256=self.inputs.sha256, split=self.inputs.split),
        )

    def warnings(self) -> tuple[str, ...]:
        """What a reader should know before quoting a figure."""
        found = []
        if self.inputs.split == "validation":
            found.append("the images are marked as validation images; report figures on test images")
        if self.validation is None and self.chip.config.adc.full_scale == "calibrated":
            found.append("without validation images the ADC scales were calibrated on the first reported images")
        if self.validation is not None and self.validation.sha256 == self.inputs.sha256:
            found.append("validation and reported images are the same")
        if self.hardware.unsourced:
            count = len(self.hardware.unsourced)
            found.append(f"{count} hardware value{'s have' if count > 1 else ' has'} no source")
        return tuple(found)


def _stated(accuracy: object, key: str) -> tuple[float, ...] | None:
    values = accuracy.get(key) if isinstance(accuracy, dict) else None
    return tuple(float(v) for v in values) if isinstance(values, list | tuple) else None


def _right(simulation: Simulation, inputs: Inputs) -> NDArray[np.bool_]:
    """Whether each image is classified rightly after each timestep, ``[images, T]``."""
    return predictions(simulation.activity.outputs) == inputs.labels[:, None]


def _reduction(static: doc.StaticPoint | dict[str, float], dynamic: dict[str, object] | dict[str, float]) -> doc.Reduction:
    """1 - dynamic / static."""
    before = static if isinstance(static, dict) else static.model_dump()
    keys = {
        "energy": "energy_pj",
        "latency": "latency_ns",
        "edp_mean_of_products": "edp_mean_of_products",
        "edp_product_of_means": "edp_product_of_means",
    }
    return doc.Reduction(
        **{name: 1 - float(dynamic[key]) / before[key] if before[key] else 0.0 for name, key in keys.items()}  # type: ignore[arg-type]
    )
