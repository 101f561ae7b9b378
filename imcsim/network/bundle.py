"""The native bundle: a folder with the readable `network.yaml` and the arrays in `weights.npz`."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcsim.base.errors import ImcsimError
from imcsim.base.files import new_folders
from imcsim.base.names import suggestion
from imcsim.base.resources import data_dirs
from imcsim.base.yamlfile import YamlDocument, read_yaml
from imcsim.network import schema
from imcsim.network.arrays import read_npz
from imcsim.network.graph import Network
from imcsim.network.validate import BrokenRule, problems, validate

DESCRIPTION = "network.yaml"
WEIGHTS = "weights.npz"
MAX_DESCRIPTION = 1_000_000
_MOST_PROBLEMS = 20


def names() -> list[str]:
    """Names of the built-in networks."""
    return sorted(
        path.name for folder in data_dirs("models") for path in folder.iterdir() if _is_bundle(path)
    )


def load(name_or_path: str | Path) -> Network:
    """Read a built-in network by name, or the bundle in a folder.

    A built-in name wins over a folder of that name; write ``./name`` for the folder. The result has passed
    `validate` and carries its `fingerprint`. Raises ImcsimError, naming file, line and node, otherwise.

    Args:
        name_or_path: A network that comes with imcsim, or a folder.
    """
    document, network = _read(find(name_or_path))
    for problem in problems(network):
        raise _located(document, problem)
    return replace(network, sha256=fingerprint(network))


def check(name_or_path: str | Path) -> list[str]:
    """What is wrong with a bundle, one line a problem (20 at most); empty where it is sound."""
    try:
        document, network = _read(find(name_or_path))
    except ImcsimError as error:
        return [str(error)]
    found = itertools.islice(problems(network), _MOST_PROBLEMS)
    return [str(_located(document, problem)) for problem in found]


def find(name_or_path: str | Path) -> Path:
    """The folder of the bundle. Raises ImcsimError where there is none."""
    if isinstance(name_or_path, str):
        for folder in data_dirs("models"):
            if name_or_path in names():
                return folder / name_or_path
    path = Path(name_or_path)
    try:
        if path.name == DESCRIPTION and path.is_file():
            path = path.parent
        if _is_bundle(path):
            return path
        exists = bool(str(name_or_path)) and path.exists()
    except (OSError, ValueError):  # too long, or with characters no file name has
        exists = False
    if exists:
        raise ImcsimError(f"this is no folder with a {DESCRIPTION}", file=path, fix="name a bundle's folder")
    known = ", ".join(names()) or "none"
    raise ImcsimError(
        f"there is no network {str(name_or_path)[:200]!a}",
        fix=suggestion(str(name_or_path), names(), f"name a bundle's folder, or a built-in network: {known}"),
    )


def save(network: Network, folder: str | Path) -> None:
    """Write `network` as a bundle to `folder`: whole or not at all, equal bytes for equal networks.

    A bundle that is there already is replaced. Raises ImcsimError where the network breaks a rule, where
    `folder` holds anything but a bundle, and where it cannot be written.

    Args:
        network: The network.
        folder: The folder of the bundle, which is made if need be.
    """
    folder = Path(folder)
    validate(network)
    text = _to_yaml(schema.to_document(network))
    if len(text.encode()) > MAX_DESCRIPTION:
        raise ImcsimError(
            "the description is larger than 1 MB", key="provenance", fix="shorten the provenance"
        )
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        _refuse_other_files(folder)
        with new_folders(folder.absolute().parent):
            _replace(folder, partial, old, schema.arrays(network), text)
    except OSError as error:
        raise ImcsimError(
            f"cannot write the bundle: {error.strerror}",
            file=folder,
            fix="choose a folder with room to write in",
        ) from None


def _replace(
    folder: Path, partial: Path, old: Path, arrays: Mapping[str, NDArray[Any]], description: str
) -> None:
    """Write a bundle to `partial` and put it in the place of `folder`, which steps aside to `old`."""
    try:
        partial.mkdir()
        with (partial / WEIGHTS).open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **dict(arrays))
        (partial / DESCRIPTION).write_text(description, encoding="utf-8")
        if folder.exists():  # folders cannot be swapped in one step everywhere
            folder.rename(old)
        try:
            partial.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)


def check_target(folder: str | Path) -> None:
    """Raise ImcsimError where `save` would not put a bundle: on a file, or among other files."""
    folder = Path(folder)
    try:
        _refuse_other_files(folder)
    except (OSError, ValueError) as error:
        raise ImcsimError("this cannot be the name of a bundle", file=folder, fix="choose another") from error


def fingerprint(network: Network) -> str:
    """SHA-256 over the description, with its provenance, and the arrays; not over file formats.

    Args:
        network: The network.
    """
    digest = hashlib.sha256(json.dumps(schema.to_document(network), sort_keys=True).encode())
    for name, array in schema.arrays(network).items():
        digest.update(f"{name} {array.dtype.str} {list(array.shape)}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read(folder: Path) -> tuple[YamlDocument, Network]:
    document = read_yaml(folder / DESCRIPTION, max_bytes=MAX_DESCRIPTION)
    return document, schema.from_document(document, read_npz(folder / WEIGHTS))


def _located(document: YamlDocument, problem: BrokenRule) -> ImcsimError:
    path = tuple(problem.key.split(".")) if problem.index is None else ("nodes", problem.index)
    return ImcsimError(
        problem.message, file=document.path, line=document.line(path), key=problem.key, fix=problem.fix
    )


def _is_bundle(path: Path) -> bool:
    return (path / DESCRIPTION).is_file()


def _refuse_other_files(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise ImcsimError("this is not a folder", file=folder, fix="choose another place")
    others = sorted(p.name for p in folder.iterdir() if p.name not in (DESCRIPTION, WEIGHTS))
    if others:
        raise ImcsimError(
            f"the folder holds other files ({others[0]!a})",
            file=folder,
            fix="choose an empty or a new folder",
        )


def _to_yaml(document: dict[str, Any]) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        # Words stay bare; what one YAML version reads as a number and another as text is quoted.
        bare = value[:1].isalpha() and value.isascii() and value.isprintable()
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if bare else '"')

    def sequence(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
        flow = not any(isinstance(v, dict | list) for v in value)
        return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=flow)

    Dumper.add_representer(str, text)
    Dumper.add_representer(list, sequence)
    body = yaml.dump(document, Dumper=Dumper, sort_keys=False, default_flow_style=False, width=100)
    return "# A spiking network for imcsim; the arrays that it names are in weights.npz.\n" + body
