"""Prints the lowest versions of the dependencies that pyproject.toml allows on this Python, for pip."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for entry in (*project["dependencies"], *extras["nonideal"], *extras["frames"]):
    requirement = Requirement(entry)
    if requirement.marker is None or requirement.marker.evaluate():
        (lowest,) = (one.version for one in requirement.specifier if one.operator == ">=")
        print(f"{requirement.name}=={lowest}")
