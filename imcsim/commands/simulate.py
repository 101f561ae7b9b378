"""``imcsim compare``, ``run`` and ``stream``: a network on a chip."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import click

from imcsim.commands.common import (
    LoadedRun,
    check_targets,
    choose_validation,
    deliver,
    load_all,
    progress_bars,
)
from imcsim.commands.completion import complete_hardware, complete_model
from imcsim.commands.help import Grouped
from imcsim.commands.options import Delivery, common_options, options_of, policy_option
from imcsim.studies.settings import CHOOSING, RunSettings

if TYPE_CHECKING:
    from imcsim.studies.against import OtherNetwork


@click.command(cls=Grouped, short_help="Static timesteps against early exit, on one chip or many.")
@options_of("chips")
@click.option(
    "--against",
    metavar="NAME|DIR",
    shell_complete=complete_model,
    help="Another network on the same images, side by side: an ANN (relu), or a spiking one at its T max.",
)
@click.option(
    "--against-hardware",
    metavar="NAME|FILE",
    shell_complete=complete_hardware,
    help="Chip of the other network.  [default: that of this one]",
)
@click.option("--scheduler", metavar="ADDRESS", help="Play images on a Dask cluster (extra: cluster).")
@click.option(
    "--dynamic-only",
    is_flag=True,
    help="Early exit at --threshold alone, without static rows: images are played until they exit, and the "
    "result is that of imcsim run.",
)
@common_options
def compare(
    settings: RunSettings,
    delivery: Delivery,
    chips: int | None,
    against: str | None,
    against_hardware: str | None,
    scheduler: str | None,
    dynamic_only: bool,
) -> None:
    """Static timesteps T = 1, ..., T max against early exit, on one chip or many of one design.

    The threshold of the exit rule is chosen on validation images, never on the images reported;
    so are those of the timesteps with --thresholds each.
    """
    check_targets(delivery)
    if against is None and against_hardware is not None:
        raise click.UsageError("--against-hardware is the chip of the network of --against.")
    if against is not None and chips is not None:
        raise click.UsageError("--against stands beside one chip, --chips runs many.")
    if scheduler is not None and chips is not None:
        raise click.UsageError(
            "--scheduler shares out the images of one chip; many chips on a cluster are a sweep over chip."
        )
    if dynamic_only:
        if against is not None or chips is not None:
            other_way = "--against" if chips is None else "--chips"
            raise click.UsageError(f"{other_way} compares with static timesteps; --dynamic-only has none.")
        if settings.options.threshold is None:
            raise click.UsageError(
                "--dynamic-only needs --threshold: one is chosen against the accuracy of static T max."
            )
        play_policy("dynamic", settings, delivery, scheduler)
        return
    loaded = load_all(settings, choose_validation(settings, needed=True))
    if chips is not None:
        compare_many(chips, loaded, delivery)
        return
    with progress_bars(delivery.quiet) as progress, loaded.values(scheduler) as values:
        from imcsim.studies.comparison import compare as run_comparison

        other = None if against is None else other_of(against, against_hardware, loaded)
        result = run_comparison(*loaded.subject, loaded.options, progress, other=other, values=values)
    deliver(result, delivery)


def other_of(network: str, hardware: str | None, loaded: LoadedRun) -> OtherNetwork:
    """``--against``, on the chip of ``--against-hardware`` or on that of the comparison."""
    import imcsim.hardware
    import imcsim.network
    from imcsim.studies.against import OtherNetwork

    chip = loaded.hardware if hardware is None else imcsim.hardware.load(hardware)
    return OtherNetwork(imcsim.network.load(network), chip)


def compare_many(chips: int, loaded: LoadedRun, delivery: Delivery) -> None:
    """``--chips``: interrupted, it delivers the chips that are ready before it ends as interrupted."""
    from imcsim.studies.chips import Stopped, compare_chips

    try:
        with progress_bars(delivery.quiet) as progress:
            result = compare_chips(*loaded.subject, loaded.options, chips, progress)
    except Stopped as stopped:
        deliver(stopped.result, delivery)
        raise
    deliver(result, delivery)


@click.command(cls=Grouped)
@policy_option
@common_options
@click.pass_context
def run(
    context: click.Context,
    /,
    policy: Literal["static", "dynamic"],
    settings: RunSettings,
    delivery: Delivery,
) -> None:
    """One policy on one chip: what it costs, and where."""
    check_targets(delivery)
    check_policy(context, policy)
    play_policy(policy, settings, delivery)


def play_policy(
    policy: Literal["static", "dynamic"],
    settings: RunSettings,
    delivery: Delivery,
    scheduler: str | None = None,
) -> None:
    """Play images by one policy and deliver what that costs."""
    loaded = load_all(settings, choose_validation(settings, needed=policy == "dynamic"))
    with progress_bars(delivery.quiet) as progress, loaded.values(scheduler) as values:
        from imcsim.studies.comparison import run as run_policy

        result = run_policy(*loaded.subject, loaded.options, progress, policy=policy, values=values)
    deliver(result, delivery)


@click.command(cls=Grouped, short_help="A stream of images: throughput, latency and utilisation.")
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
@click.option(
    "--copies",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Copies of the whole chip; each image goes to the one that is free earliest.",
)
@common_options
@click.pass_context
def stream(
    context: click.Context,
    /,
    policy: Literal["static", "dynamic"],
    arrivals: Literal["closed", "periodic", "poisson"],
    rate: float | None,
    copies: int,
    settings: RunSettings,
    delivery: Delivery,
) -> None:
    """A stream of images on one chip, or copies of it: throughput, latency, energy and utilisation."""
    check_targets(delivery)
    check_policy(context, policy)
    if rate is not None and not math.isfinite(rate):
        raise click.UsageError("--rate must be a finite number of images per second.")
    if (rate is None) != (arrivals == "closed"):
        raise click.UsageError(
            "--rate belongs to --arrivals periodic or poisson: a closed loop takes images as they can come."
            if arrivals == "closed"
            else f"--arrivals {arrivals} needs --rate IMAGES_PER_S."
        )
    loaded = load_all(settings, choose_validation(settings, needed=policy == "dynamic"))
    with progress_bars(delivery.quiet) as progress:
        from imcsim.studies.streaming import StreamOptions
        from imcsim.studies.streaming import stream as run_stream

        arriving = StreamOptions(arrivals, rate, copies)
        result = run_stream(*loaded.subject, loaded.options, arriving, progress, policy=policy)
    deliver(result, delivery)


def check_policy(context: click.Context, policy: str) -> None:
    """Refuse options of the exit rule in a run that has none."""
    if policy == "static":
        for name in ("threshold", *CHOOSING, "validation", "rule", "accumulation"):
            if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
                flag = f"--{name.replace('_', '-')}"
                raise click.UsageError(f"{flag} belongs to --policy dynamic: a static run has no early exit.")
