"""``imcsim compare``, ``run`` and ``stream``: a network on a chip."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import click

from imcsim.commands.common import (
    check_targets,
    choose_validation,
    compare_options,
    deliver,
    load_all,
    progress_bars,
)
from imcsim.commands.options import common_options, policy_option
from imcsim.studies.options import MOST_AT_ONCE

if TYPE_CHECKING:
    from imcsim.hardware import Hardware
    from imcsim.inputs import Inputs
    from imcsim.network import Network


@click.command()
@click.option(
    "--chips",
    type=click.IntRange(1, MOST_AT_ONCE),
    metavar="INTEGER",
    help="Run so many programmed chips, from --chip on, and the ideal one: what errors do to early exit.",
)
@common_options
def compare(chips: int | None, **settings: Any) -> None:
    """Static timesteps T = 1, ..., T max against leaving early, on one chip or many of one design.

    The threshold of the exit rule is chosen on validation images, never on the images reported;
    so are those of the timesteps with --thresholds each.
    """
    check_targets(settings)
    held_out = choose_validation(settings, needed=True)
    network, hardware, inputs, validation = load_all(settings, held_out)
    if chips is not None:
        compare_many(chips, network, hardware, inputs, validation, settings)
        return
    with progress_bars(settings["quiet"]) as progress:
        from imcsim.studies.comparison import compare as run_comparison

        result = run_comparison(network, hardware, inputs, validation, compare_options(settings), progress)
    deliver(result, settings)


def compare_many(
    chips: int,
    network: Network,
    hardware: Hardware,
    inputs: Inputs,
    validation: Inputs | None,
    settings: dict[str, Any],
) -> None:
    """``--chips``: interrupted, it delivers the chips that are ready before it ends as interrupted."""
    from imcsim.studies.chips import Stopped, compare_chips

    try:
        with progress_bars(settings["quiet"]) as progress:
            result = compare_chips(
                network, hardware, inputs, validation, compare_options(settings), chips, progress
            )
    except Stopped as stopped:
        deliver(stopped.result, settings)
        raise
    deliver(result, settings)


@click.command()
@policy_option
@common_options
@click.pass_context
def run(context: click.Context, /, policy: Literal["static", "dynamic"], **settings: Any) -> None:
    """One policy on one chip: what it costs, and where."""
    check_targets(settings)
    check_policy(context, policy)
    held_out = choose_validation(settings, needed=policy == "dynamic")
    network, hardware, inputs, validation = load_all(settings, held_out)
    with progress_bars(settings["quiet"]) as progress:
        from imcsim.studies.comparison import run as run_policy

        result = run_policy(
            network, hardware, inputs, validation, compare_options(settings), progress, policy=policy
        )
    deliver(result, settings)


@click.command()
@policy_option
@click.option(
    "--arrivals",
    type=click.Choice(["closed", "periodic", "poisson"]),
    default="closed",
    show_default=True,
    help="Images come as the chip takes them, at regular intervals, or at random.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="IMAGES_PER_S",
    help="Rate of periodic and poisson arrivals.",
)
@common_options
@click.pass_context
def stream(
    context: click.Context,
    /,
    policy: Literal["static", "dynamic"],
    arrivals: Literal["closed", "periodic", "poisson"],
    rate: float | None,
    **settings: Any,
) -> None:
    """A stream of images on one chip: throughput, latency, energy and utilisation."""
    check_targets(settings)
    check_policy(context, policy)
    if rate is not None and not math.isfinite(rate):
        raise click.UsageError("--rate must be a finite number of images a second.")
    if (rate is None) != (arrivals == "closed"):
        raise click.UsageError(
            "--rate belongs to --arrivals periodic or poisson: a closed loop takes images as they can come."
            if arrivals == "closed"
            else f"--arrivals {arrivals} needs --rate IMAGES_PER_S."
        )
    held_out = choose_validation(settings, needed=policy == "dynamic")
    network, hardware, inputs, validation = load_all(settings, held_out)
    with progress_bars(settings["quiet"]) as progress:
        from imcsim.studies.streaming import StreamOptions
        from imcsim.studies.streaming import stream as run_stream

        arriving = StreamOptions(arrivals, rate)
        result = run_stream(
            network,
            hardware,
            inputs,
            validation,
            compare_options(settings),
            arriving,
            progress,
            policy=policy,
        )
    deliver(result, settings)


def check_policy(context: click.Context, policy: str) -> None:
    """Refuse options of the exit rule in a run that has none."""
    if policy == "static":
        for name in ("threshold", "thresholds", "validation", "rule", "accumulation"):
            if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
                raise click.UsageError(
                    f"--{name} belongs to --policy dynamic: a static run never leaves early."
                )
