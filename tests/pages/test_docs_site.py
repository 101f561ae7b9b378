"""The documentation's notebook, gallery and page on searches: they run, and say what runs now."""

from __future__ import annotations

import re
import shlex
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from imcsim.base.yamlfile import parse_yaml
from imcsim.commands.cli import main
from imcsim.sweeps import load_spec

DOCS = Path(__file__).parents[2] / "docs"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_the_quickstart_runs_and_prints_what_is_stored_with_it() -> None:
    pytest.importorskip("ipykernel")
    pytest.importorskip("pandas")
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient").NotebookClient
    stored = nbformat.read(DOCS / "quickstart.ipynb", as_version=4)
    played = nbformat.from_dict(stored)
    client(played, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(DOCS)}}).execute()
    assert sum(cell.cell_type == "code" for cell in stored.cells) >= 8
    for before, now in zip(stored.cells, played.cells, strict=True):
        if before.cell_type == "code":
            assert before.outputs, before.source
            assert printed(now) == printed(before), before.source
            assert numbers(now) == numbers(before), before.source


def printed(cell: Any) -> list[str]:
    """What a cell printed; how tables are laid out is up to pandas."""
    return [output.text for output in cell.outputs if output.output_type == "stream"]


def numbers(cell: Any) -> list[str]:
    """The decimal numbers of what a cell shows besides, in their order."""
    shown = [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return [number for text in shown for number in re.findall(r"\d+\.\d+", text)]


def test_the_gallery_shows_all_that_its_script_makes_and_nothing_else() -> None:
    script = (DOCS / "gallery" / "make.py").read_text(encoding="utf-8")
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"!\[[^\]]+\]\(gallery/([^)]+)\.png\)", page))
    assert shown == {path.stem for path in (DOCS / "gallery").glob("*.png")}
    assert all(f'"{name}"' in script or f'"{name}.png"' in script for name in shown)
    sweep = load_spec(DOCS / "gallery" / "sweep.yaml")
    assert f"{len(list(sweep.points()))} points on {sweep.base.images} test images" in page
    assert sweep.keys == ("adc.bits", "noc.flit_bits", "threshold")


def test_the_examples_of_the_page_on_searches_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    from imcsim.searches import load_search, search

    monkeypatch.chdir(tmp_path)
    page = (DOCS / "searches.md").read_text(encoding="utf-8")
    blocks = FENCE.findall(page)
    assert [kind for kind, _ in blocks] == ["yaml", "sql", "python"]
    spec, query, script = (block for _, block in blocks)
    given = parse_yaml(spec, "spec").data
    load_search(given)
    few = given | {"images": 20, "trials": 2, "constraints": given["constraints"][:1]}
    with search(load_search(few), "few", workers=1):
        pass
    found = sqlite3.connect(tmp_path / "few" / "sweep.sqlite").execute(query).fetchall()
    assert found
    exec(compile(script, "searches.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(int(line.split()[0]) in (5, 6) for line in lines)


@pytest.mark.usefixtures("rough_figures")
def test_the_examples_on_sweeps_and_reports_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    blocks = FENCE.findall((DOCS / "sweeps.md").read_text(encoding="utf-8"))
    specs = [load_spec(parse_yaml(block, "spec").data) for kind, block in blocks if kind == "yaml"]
    query, *questions = (block for kind, block in blocks if kind == "sql")
    example, *clusters = (block for kind, block in blocks if kind == "python")
    assert [len(list(spec.points())) for spec in specs] == [30, 10, 100]
    for cluster in clusters:  # what they name is not here; they are sound Python
        compile(cluster, "sweeps.md", "exec")
    kept = example.replace("imcsim.sweep(spec)", 'imcsim.sweep(spec, "DIR")')
    assert kept != example
    exec(compile(kept, "sweeps.md", "exec"), {"__name__": "__main__"})
    assert len(capsys.readouterr().out.splitlines()) == 5
    store = sqlite3.connect(Path("DIR", "sweep.sqlite"))
    assert len(store.execute(query).fetchall()) == 4
    assert len(questions) == 3
    assert all(store.execute(question).fetchall() for question in questions)
    ((_, script),) = (b for b in FENCE.findall((DOCS / "reports.md").read_text("utf-8")) if b[0] == "python")
    exec(compile(script, "reports.md", "exec"), {})
    assert Path(capsys.readouterr().out.strip()).exists()


def test_the_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas")
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    ((_, script),) = (block for block in FENCE.findall(readme) if block[0] == "python")
    exec(compile(script, "README.md", "exec"), {})
    assert 0 < float(capsys.readouterr().out.split()[0]) < 100


def test_the_examples_on_configs_and_timelines_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they stand, but for few images and a threshold given, which is quicker."""
    monkeypatch.chdir(tmp_path)
    text = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("configs.md", "timeline.md"))
    quicker = {
        "compare": ["--images", "4", "--threshold", "0.3", "--quiet"],
        "timeline": ["--threshold", "0.3"],
    }
    ran = set()
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            program, *arguments = shlex.split(line.partition(">")[0])
            if program == "imcsim":
                ran.add(arguments[0])
                assert main([*arguments, *quicker.get(arguments[0], [])]) == 0, capsys.readouterr().err
    assert ran == {"compare", "hardware", "schema", "completion", "timeline"}
    assert (tmp_path / "image3.json").stat().st_size > 0
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)):
        if "extends:" in block:
            Path(f"chip{number}.yaml").write_text(block, encoding="utf-8")
            assert main(["hardware", "check", f"chip{number}.yaml"]) == 0, capsys.readouterr().err
