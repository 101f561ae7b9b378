"""``imcsim trace``: what enters a chip at each timestep, recorded and described."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from imcsim.base.errors import ImcsimError
from imcsim.base.plurals import counted
from imcsim.commands.common import choose_validation, flat, load_all, print_report, progress_bars
from imcsim.commands.options import PLAYING, run_settings
from imcsim.studies.settings import RunSettings


@click.group()
def trace() -> None:
    """Recorded traces: record, info."""


@trace.command("record", short_help="Play inputs; write what entered the chip, and spikes.")
@click.option("-o", "output", metavar="FILE", required=True, help="The trace to write, an .npz file.")
@click.option(
    "--layers",
    metavar="all|NAME,NAME",
    help="Record the spikes of these LIF layers too.  [default: only what enters the chip]",
)
@click.option(
    "--ideal", is_flag=True, help="Spikes with ideal ADCs and wide membranes: the network without the chip."
)
@run_settings(*PLAYING)
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def record(output: str, layers: str | None, ideal: bool, quiet: bool, settings: RunSettings) -> None:
    """Play a network on inputs; write the frames that entered at each timestep, and spikes of layers.

    A run with the trace as its --inputs gives exactly the report of a run with the inputs recorded.
    """
    from imcsim.report.files import check_writable

    check_writable(output)
    if Path(output).suffix != ".npz" and (not Path(output).exists() or Path(output).is_file()):
        raise ImcsimError("traces are written as .npz", file=output, fix="end the name with .npz")
    held_out = choose_validation(settings, needed=False)
    paired = held_out if settings.validation is None else None
    loaded = load_all(settings, held_out, labelled=False)
    names: Any = () if layers is None else [name.strip() for name in layers.split(",")]
    with progress_bars(quiet) as progress:
        import imcsim.studies.traces

        found = imcsim.studies.traces.record(
            loaded.network,
            loaded.hardware,
            loaded.inputs,
            output,
            validation=loaded.validation,
            timesteps=loaded.options.timesteps,
            layers="all" if layers == "all" else names,
            ideal=ideal,
            paired=paired,
            workers=loaded.options.workers,
            progress=progress,
            seed=loaded.options.seed,
            chip=loaded.options.chip,
        )
    if not quiet:
        click.echo(
            f"{output}: {counted(len(found.packed), 'image')}, {_frames(found)}, "
            f"{counted(len(found.spikes), 'layer')}"
        )


@trace.command("info", short_help="Shape, spikes and spike rates, and where they come from.")
@click.argument("file", metavar="FILE")
def info(file: str) -> None:
    """Shape, spikes per timestep, spike rate of each layer, and where a trace comes from."""
    import numpy as np

    import imcsim.studies.traces
    from imcsim.report.terminal.grid import Listing, table

    found = imcsim.studies.traces.load(file)
    about, size = found.about, int(np.prod(found.shape))
    rows = [
        ("images", str(len(found.packed))),
        ("timesteps", str(found.timesteps)),
        ("shape", " x ".join(map(str, found.shape))),
        ("frames", _frames(found)),
        ("bits per value", str(found.bits)),
        ("encoding", about["coding"]),
        ("set bits" if found.bits > 1 else "spikes", _per_timestep(found.packed, found.timesteps)),
        ("labels", f"{len(set(found.labels.tolist()))} different ones" if len(found.labels) else "none"),
    ]
    print_report(table(f"Trace {about['name']}", ["", ""], rows, left=2))
    if found.spikes:
        lines = []
        for entry in about["layers"]:
            bits = found.packed_spikes(entry["name"])
            size = int(np.prod(entry["shape"]))
            total = int(_counts(bits).sum())
            shape = " x ".join(map(str, entry["shape"]))
            rate = total / (bits.shape[0] * bits.shape[1] * size)
            lines.append([entry["name"], shape, _means(_counts(bits), found.timesteps), f"{rate:.4f}"])
        columns = ["layer", "neurons", "spikes per image at each timestep", "spike rate"]
        title = "Recorded layers, ideal ADCs and wide membranes" if about["ideal"] else "Recorded layers"
        print_report(table(title, columns, lines, left=2))
    origin = {
        key: about[key]
        for key in ("name", "sha256", "split", "classes", "inputs", "network", "hardware", "validation")
        if about[key] is not None
    }
    print_report(Listing("Recorded from", list(flat(origin))))


def _frames(found: Any) -> str:
    """How the frames are stored."""
    if found.about["coding"] == "direct":
        return "1 frame, the same at every timestep"
    return f"{found.stored_frames} frames, one per timestep"


def _per_timestep(bits: Any, timesteps: int) -> str:
    """Mean number of set bits of an image in each timestep; ``[N, T or 1, ...]``."""
    import numpy as np

    return _means(np.bitwise_count(bits).reshape(*bits.shape[:2], -1).sum(axis=2), timesteps)


def _counts(bits: Any) -> Any:
    """Spikes of each image and timestep, ``[N, T]``, of packed bits or planes of bits."""
    import numpy as np

    each = np.bitwise_count(bits).sum(axis=-1, dtype=np.int64)
    return each if each.ndim == 2 else each @ (1 << np.arange(each.shape[2]))


def _means(counts: Any, timesteps: int) -> str:
    """The mean of each timestep over images; counts ``[N, T or 1]``."""
    import numpy as np

    return ", ".join(f"{count:.1f}" for count in np.broadcast_to(counts.sum(axis=0) / len(counts), timesteps))
