"""JSON schemas of result documents: one source, from which the command and the wheel take them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from sample_results import compare_result, run_result, stream_result

from imcsim.commands.cli import cli
from imcsim.results.model import to_json
from imcsim.results.schemas import KINDS, Kind, json_schema, schema_files

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_prints_what_the_package_ships(kind: Kind) -> None:
    printed = CliRunner().invoke(cli, ["schema", kind]).output
    shipped = schema_files()[f"{kind}.schema.json"]
    assert json.loads(shipped) == json.loads(printed) == json_schema(kind)
    assert shipped == json.dumps(json_schema(kind), indent=2) + "\n"
    jsonschema.Draft202012Validator.check_schema(json.loads(shipped))


def test_derived_figures_stand_in_every_file_and_fields_are_described() -> None:
    schema = json_schema("result")
    point = schema["$defs"]["StaticPoint"]
    assert list(point["required"]) == list(point["properties"])
    assert point["properties"]["edp_product_of_means"]["description"] == "Mean energy x mean latency, pJ ns."
    validator = jsonschema.Draft202012Validator(schema)
    data = json.loads(to_json(compare_result(images=50)))
    assert validator.is_valid(data)
    for document in (run_result(images=50), stream_result(images=50)):
        assert validator.is_valid(json.loads(to_json(document)))
    del data["reduction"]
    assert not validator.is_valid(data)


def test_a_wheel_holds_the_schemas(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        for name, text in schema_files().items():
            assert wheel.read(f"imcsim/data/{name}").decode() == text
    assert not list((ROOT / "imcsim" / "data").glob("*.schema.json"))
