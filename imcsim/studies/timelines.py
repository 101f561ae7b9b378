"""A few images on one chip, with all that every unit did: what `imcsim timeline` draws.

Images are played in the `reference` fidelity, which knows every crossbar read; it agrees to the cycle with
the `burst` fidelity of all other figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from imcsim.base.errors import ImcsimError
from imcsim.base.progress import Progress
from imcsim.exits.outputs import predictions
from imcsim.hardware.config import Hardware
from imcsim.inputs import Inputs
from imcsim.network.graph import Network
from imcsim.results.meta import Meta
from imcsim.results.run import Policy
from imcsim.simulation.simulate import all_work
from imcsim.studies.experiment import Experiment, refuse_dynamic_pipeline
from imcsim.studies.settings import CompareOptions
from imcsim.timing import Recorder, Slice, Timeline, play


@dataclass(frozen=True)
class ShownImage:
    """One image. `image` is its index among the inputs, `label` None where it has none; it left after
    `timesteps` with `prediction`. energy_pj: what it costs alone on the chip, leakage and cancelled work
    included.
    """

    image: int
    label: int | None
    prediction: int
    timesteps: int
    energy_pj: float


@dataclass(frozen=True)
class TileOf:
    """A tile: where it stands on its chip, the names of the layers that it holds, and the chip."""

    position: tuple[int, int]
    layers: tuple[str, ...]
    chip: int = 0


@dataclass(frozen=True, eq=False)
class Recorded:
    """What happened. Times of `line` and `slices` are cycles of `clock_ns`. parts: the layer of each part.
    `unit_crossbars` is how many crossbars one read of a layer (as in `line.layers`) drives at once.
    """

    meta: Meta
    policy: Policy
    images: tuple[ShownImage, ...]
    line: Timeline
    slices: tuple[Slice, ...]
    tiles: tuple[TileOf, ...]
    parts: tuple[str, ...]
    unit_crossbars: dict[str, int]
    clock_ns: float

    def cancelled(self, job: int) -> bool:
        """Whether a timestep was begun for nothing: its image had left before it was checked."""
        return int(self.line.cancelled[job]) >= 0

    @property
    def last_cycle(self) -> int:
        """When nothing moves any more; after the last departure where work was cancelled."""
        return max(self.line.cycles, max((s.ended for s in self.slices), default=0))


def record(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    images: Sequence[int] = (0,),
    options: CompareOptions | None = None,
    progress: Progress | None = None,
    *,
    policy: Literal["static", "dynamic"] = "dynamic",
) -> Recorded:
    """Play the images of `inputs` with the indices `images`, one after the other, and record everything.

    The ADCs and the threshold are set as `comparison.run` sets them. Raises ImcsimError as it does, and for
    an image that there is not.
    """
    options = options or CompareOptions()
    if policy == "dynamic":
        refuse_dynamic_pipeline(options, fix="use speculate, or --policy static")
    experiment = _experiment(network, hardware, inputs, validation, images, options, progress, policy)
    stay, about = experiment.decide(policy)
    chip = experiment.chip
    work = all_work(chip, experiment.inputs, options.workers)
    recorder = Recorder()
    line = play(
        chip.placement,
        chip.config,
        [int(t) for t in stay],
        replace(chip.timing, fidelity="reference"),
        work=work,
        recorder=recorder,
    )
    ran = experiment.images.static if policy == "static" else experiment.images.dynamic
    answers = predictions(experiment.images.activity.outputs)
    names = [layer.stage.name for layer in chip.placement.layers]
    return Recorded(
        meta=experiment.meta(),
        policy=about,
        images=tuple(
            ShownImage(
                image=int(index),
                label=int(inputs.labels[index]) if len(inputs.labels) else None,
                prediction=int(answers[k, stay[k] - 1]),
                timesteps=int(stay[k]),
                energy_pj=float(ran.energy_pj[k, stay[k] - 1]),
            )
            for k, index in enumerate(images)
        ),
        line=line,
        slices=tuple(recorder.slices),
        tiles=tuple(
            TileOf(
                position,
                tuple(dict.fromkeys(names[p.stage] for p in chip.placement.parts if p.tile == tile)),
                chip.placement.chip_of[tile],
            )
            for tile, position in enumerate(chip.placement.positions)
        ),
        parts=tuple(names[part.stage] for part in chip.placement.parts),
        unit_crossbars={layer.stage.name: layer.unit_crossbars for layer in chip.placement.layers},
        clock_ns=chip.config.technology.clock_ns,
    )


def _experiment(
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    images: Sequence[int],
    options: CompareOptions,
    progress: Progress | None,
    policy: str,
) -> Experiment:
    """The picked images on a chip that is calibrated as for all of them."""
    count = len(inputs.images)
    for index in images:
        if not 0 <= index < count:
            raise ImcsimError(
                f"there is no image {index}", key=inputs.name, fix=f"there are images 0 to {count - 1}"
            )
    experiment = Experiment.make(
        network, hardware, inputs, validation, replace(options, fidelity="burst"), progress,
        dynamic=policy == "dynamic", picked=images,
    )  # fmt: skip
    return replace(experiment, options=replace(options, fidelity="reference"))
