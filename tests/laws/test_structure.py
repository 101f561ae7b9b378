"""The package keeps its structure: floors, no upward import, no circle, short parameter lists."""

from __future__ import annotations

import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # behind tests/helpers, which has a module networks too

import structure  # noqa: E402


@cache
def found() -> structure.Structure:
    return structure.measure()


def test_root_and_floors() -> None:
    assert len(found().root_modules) <= 8
    assert len(found().floors) <= 14


def test_nothing_imports_upwards_or_the_package_root() -> None:
    assert found().upward == []
    assert found().root_imports == []


def test_component_and_config_are_the_only_circle() -> None:
    (circle,) = found().circles
    assert {"imcsim.hardware.component", "imcsim.hardware.config"} <= set(circle)
    assert all(name.startswith("imcsim.hardware.") for name in circle)


def test_a_class_name_means_one_thing() -> None:
    assert found().ambiguous == {}


def test_long_parameter_lists_are_optional_keywords_and_named_in_the_contributing_page() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for function in found().wide:
        module, name = function.place.split(":")[0], function.place.split()[-1]
        assert function.optional, function.place
        assert f"`{module.removeprefix('imcsim.')}.{name}`" in page, function.place


def test_the_measure_sees_what_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a package with one fault of each kind, each is found."""
    package = tmp_path / "imcsim"
    for name, text in {
        "__init__.py": "",
        "high/__init__.py": "",
        "high/one.py": "class Thing: ...\n",
        "low/__init__.py": "import imcsim\nfrom imcsim.high import one\n",
        "low/a.py": "from imcsim.low import b\nclass Thing: ...\n",
        "low/b.py": "def f():\n    from imcsim.low.a import Thing\n",
        "low/wide.py": "def g(a, b, c, d, e, f, g, h, i): ...\ndef h(self, a, *, b=1, c=2, d=3, e=4): ...\n",
        "low/kernels.py": "def k(a, b, c, d, e, f, g, h, i, j): ...\n",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    (tmp_path / "tests").mkdir()
    contract = "[importlinter:contract:floors]\nlayers =\n    (high)\n    (low)\n"
    (tmp_path / ".importlinter").write_text(contract)
    monkeypatch.setattr(structure, "ROOT", tmp_path)
    faulty = structure.measure()
    assert faulty.upward == [("imcsim.low", "imcsim.high.one")]
    assert faulty.root_imports == ["imcsim.low"]
    assert faulty.circles == [["imcsim.low.a", "imcsim.low.b"]]
    assert list(faulty.ambiguous) == ["Thing"]
    assert [f.count for f in faulty.wide] == [9]


def test_a_wheel_holds_all_that_comes_along() -> None:
    """An installed imcsim knows the networks, chips and inputs of a checkout."""
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = packed["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    networks = {f"models/{folder.parent.name}" for folder in (ROOT / "models").glob("*/network.yaml")}
    assert set(included) == networks | {"hw_configs", "models/inputs"}
