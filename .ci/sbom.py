"""The software bill of materials: CycloneDX 1.5 from .ci/lock.txt, in .ci/sbom.cdx.json.

``python .ci/sbom.py`` writes it; with ``--check`` it says whether it is up to date. Licences come from the
packages that are installed where it runs, if they are there in the version of the lock.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOCK, SBOM = HERE / "lock.txt", HERE / "sbom.cdx.json"


def component(name: str, version: str) -> dict[str, Any]:
    plain = re.sub(r"[-_.]+", "-", name).lower()
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{plain}@{version}",
        "name": plain,
        "version": version,
        "purl": f"pkg:pypi/{plain}@{version}",
    }
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return found
    if about["Version"].split("+")[0] != version:
        return found
    licence = about.get("License-Expression") or about.get("License") or ""
    if not licence or "\n" in licence or len(licence) > 80:
        names = [
            c.rsplit(" :: ", 1)[-1] for c in about.get_all("Classifier") or () if c.startswith("License")
        ]
        licence = " AND ".join(names)
    if licence:
        found["licenses"] = [{"license": {"name": licence}}]
    return found


def needed() -> set[str]:
    """Packages that imcsim itself needs, directly."""
    import tomllib

    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    names = (re.split(r"[^\w.-]", entry, maxsplit=1)[0] for entry in project["dependencies"])
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def document() -> str:
    pins = [line.split("==") for line in LOCK.read_text().split() if "==" in line]
    components = [component(name, version) for name, version in sorted(pins, key=lambda pin: pin[0].lower())]
    direct = needed()
    for one in components:
        one["scope"] = "required" if one["name"] in direct else "optional"
    version = re.search(r'"(.+)"', (HERE.parent / "imcsim" / "_version.py").read_text().split("=")[1])
    assert version is not None
    about = {
        "type": "application",
        "bom-ref": f"pkg:pypi/imcsim@{version[1]}",
        "name": "imcsim",
        "version": version[1],
        "purl": f"pkg:pypi/imcsim@{version[1]}",
    }
    own = [one["bom-ref"] for one in components if one["scope"] == "required"]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, LOCK.read_text())  # equal locks, equal bills
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": about},
        "components": components,
        "dependencies": [{"ref": about["bom-ref"], "dependsOn": own}],
    }
    return json.dumps(made, indent=1) + "\n"


def main() -> int:
    if "--check" in sys.argv:
        listed = {(c["name"], c["version"]) for c in json.loads(SBOM.read_text())["components"]}
        wanted = {(c["name"], c["version"]) for c in json.loads(document())["components"]}
        if listed != wanted:
            print(
                "the bill of materials is not that of .ci/lock.txt: run python .ci/sbom.py", file=sys.stderr
            )
            return 1
        return 0
    SBOM.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main())
