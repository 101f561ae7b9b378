"""``imcsim info``: what a report of a fault should say of the installation and the machine."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import click

from imcsim._version import __version__
from imcsim.base.plurals import counted

_NEEDS = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)[^;]*(?:;.*extra == ['\"](?P<extra>\w+)['\"])?")
_NOT_FOR_USE = frozenset({"test", "docs", "dev", "frameworks", "train"})
"""Extras of those who work on imcsim itself."""
_VECTORS = ("avx512f", "avx2", "avx", "sse4.2", "neon", "sve")
_SETTINGS = ("IMCSIM_", "NUMBA_", "OMP_NUM_THREADS", "XDG_CACHE_HOME")

Section = Mapping[str, str]


@click.command(short_help="Versions, processor, kernels and parts, for reports of faults.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def info(as_json: bool) -> None:
    """Versions, processor, kept kernels and values, optional parts: what a report of a fault should hold."""
    sections: dict[str, Section] = {
        "imcsim": _installation(),
        "machine": _machine(),
        "packages": _packages(),
        "optional parts": _optional(),
        "environment": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith(_SETTINGS)
        },
    }
    if as_json:
        click.echo(json.dumps(sections, indent=2, ensure_ascii=False))
        return
    width = max(len(name) for section in sections.values() for name in section)
    for title, section in sections.items():
        if section:
            click.echo(title)
        for name, value in section.items():
            click.echo(f"  {name:{width}}  {value}")


def _installation() -> Section:
    from imcsim.base.code import code_sha256, shown_code
    from imcsim.base.compiled.places import kept_below
    from imcsim.simulation.kept_values import OFF, folder_of_values

    package = Path(__file__).parents[1]
    folders = list(kept_below(package))
    sizes = [one.stat().st_size for folder in folders for one in folder.iterdir() if one.is_file()]
    inside = all(package in folder.parents for folder in folders)
    where = "beside the sources" if inside else str(os.path.commonpath(folders))
    values = folder_of_values()
    here = [one.stat().st_size for one in values.glob("*.npz")] if values is not None else []
    return {
        "version": __version__,
        "code": shown_code(code_sha256()),
        "folder": str(package),
        "kept kernels": _files(sizes, where),
        "kept values": OFF if values is None else _files(here, str(values)),
    }


def _files(sizes: Sequence[int], where: str) -> str:
    return f"{counted(len(sizes), 'file')}, {sum(sizes) / 1e6:.1f} MB, {where}" if sizes else "none yet"


def _machine() -> Section:
    found = {
        "system": platform.platform(),
        "Python": f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}",
        "processor": _processor(),
        "processors": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
    }
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        found["memory"] = f"{memory:.1f} GiB"
    except (AttributeError, OSError, ValueError):  # Windows
        pass
    return found


def _usable() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _processor() -> str:
    """The processor's name, and the widest vectors that kernels are compiled for."""
    from llvmlite import binding

    name = platform.processor() or platform.machine()
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            name = next(
                (line.partition(":")[2].strip() for line in file if line.startswith("model name")), name
            )
    except OSError:
        pass
    features = binding.get_host_cpu_features()
    widest = next((one for one in _VECTORS if features.get(one)), "no vectors that are known")
    return f"{name}; {binding.get_host_cpu_name()}, {widest}"


def _needed() -> Iterator[tuple[str, str | None]]:
    """Packages that imcsim names, with the extra that each is for."""
    try:
        named = metadata.requires("imcsim") or []
    except metadata.PackageNotFoundError:  # a source tree on the path
        return
    for entry in named:
        found = _NEEDS.match(entry)
        if found is not None and found["name"] != "imcsim":
            yield found["name"], found["extra"]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _packages() -> Section:
    return {name: _version(name) or "missing" for name, extra in _needed() if extra is None}


def _optional() -> Section:
    found = {}
    for name, extra in _needed():
        if extra is not None and extra not in _NOT_FOR_USE:
            found[f"{extra}: {name}"] = _version(name) or f"missing: pip install 'imcsim[{extra}]'"
    return dict(sorted(found.items()))
