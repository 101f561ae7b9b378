"""Plug-ins end to end: an installed package and files, in every command, on workers, and broken ones."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clusters import two_workers
from plugin_files import EXAMPLE, GAP, installed, written
from sweep_files import base, made, write_spec

import imcsim
import imcsim.hardware
from imcsim.base import plugins
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.hardware.estimators.nodes import energy_ratio
from imcsim.sweeps import load_spec, open_store, sweep

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nothing_loaded() -> Iterator[None]:
    plugins.forget()
    yield
    plugins.forget()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example package is installed."""
    return installed(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("files"), base())


@pytest.fixture
def with_example(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example package on the path, also of child processes."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    yield site
    for name in [name for name in sys.modules if name.split(".")[0] == "imcsim_example"]:
        del sys.modules[name]


def arguments(files: Path) -> list[str]:
    return ["--model", str(files / "net"), "--inputs", str(files / "test.npz"), "--quiet", "--images", "20"]


def compared(files: Path, tmp_path: Path, *more: str, command: str = "compare") -> dict[str, Any]:
    """The document of ``imcsim compare``, or of another command."""
    path = tmp_path / "result.json"
    held = ["--validation", str(files / "held.npz")]
    assert main([command, *arguments(files), *held, "--json", str(path), *more]) == 0
    found: dict[str, Any] = json.loads(path.read_text())
    return found


# The example package, installed


def test_the_example_is_listed_and_keeps_its_contracts(
    with_example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins"]) == 0
    listed = capsys.readouterr().out
    assert main(["plugins", "check", "patience", "sar_adc", "relaxation", "saccade"]) == 0
    checked = capsys.readouterr().out
    for name in ("patience", "sar_adc", "relaxation", "saccade"):
        assert name in listed
        assert f"{name}, of imcsim-example 1.0.0" in checked
    assert "BROKEN" not in checked


def test_each_part_of_the_example_is_used_and_named(with_example: Path, files: Path, tmp_path: Path) -> None:
    plain = {command: compared(files, tmp_path, command=command) for command in ("run", "compare")}
    for document in plain.values():
        assert "plugins" not in document["meta"]
    for kind, name, command, options in (
        ("exit_rules", "patience", "run", ("--rule", "patience", "--threshold", "0.6")),
        ("estimators", "sar_adc", "compare", ("--set", "estimators.adc=sar_adc")),
        ("cell_errors", "relaxation", "run", ("--set", "nonideal.cell_errors.model=relaxation")),
        ("encodings", "saccade", "run", ("--encoding", "saccade")),
    ):
        found = compared(files, tmp_path, *options, command=command)
        (used,) = found["meta"]["plugins"]
        assert (used["kind"], used["name"]) == (kind, name)
        assert (used["source"], used["version"]) == ("imcsim-example", "1.0.0")
        assert len(used["sha256"]) == 64
        without = {key: value for key, value in found.items() if key != "meta"}
        assert without != {key: value for key, value in plain[command].items() if key != "meta"}
        again = compared(files, tmp_path, *options, "--workers", "1", command=command)
        assert again == found


def test_patience_by_hand(with_example: Path, files: Path, tmp_path: Path) -> None:
    """At a threshold of 0.6 images leave once their class stayed for two timesteps: 1/2 is below, 1/1 not."""
    found = imcsim.compare(
        files / "net", inputs=files / "test.npz", rule="patience", threshold=0.6, workers=1
    )
    assert found.dynamic.exit_fraction[0] == 0
    assert found.checker.cycles_per_check == 4 + 2 + 1  # and the way of the verdict over one link
    chip = imcsim.hardware.load("dtsnn_32nm").config
    assert found.checker.energy_pj_per_check == pytest.approx(
        (4 + 2) * chip.checker.figure("compare_energy_pj", chip)
        + chip.checker.figure("add_energy_pj", chip)
        + 3 * chip.checker.figure("verdict_energy_pj", chip)  # in each of three tiles
    )


def test_the_estimator_follows_bits_and_node(with_example: Path) -> None:
    for bits, node in ((5, 32.0), (8, 65.0)):
        overrides = {"estimators.adc": "sar_adc", "adc.bits": bits, "technology.node_nm": node}
        chip = imcsim.hardware.load("dtsnn_32nm", overrides)
        (energy,) = chip.config.adc.charges(chip.config).values()
        assert energy == pytest.approx(0.005 * 2**bits * energy_ratio(32, node))
        assert chip.config.adc.conversion_cycles == -(-bits * 2 // 10)
        rows = {row[0]: row for row in imcsim.hardware.describe(chip)}
        assert rows["adc.conversions"][3:] == (
            "derived", "estimator sar_adc: Walden 1999: energy of a step x 2^bits; a comparison for each bit",
        )  # fmt: skip
        assert rows["adc.conversion_cycles"][3] == "derived"
    plain = imcsim.hardware.load("dtsnn_32nm")
    assert chip.config.adc.area_um2(chip.config) > 0
    assert plain.sha256 != imcsim.hardware.load("dtsnn_32nm", {"estimators.adc": "sar_adc"}).sha256


def test_cell_errors_are_drawn_by_seed_and_chip_and_grow_with_time(
    with_example: Path, files: Path, tmp_path: Path
) -> None:
    model = ("--set", "nonideal.cell_errors.model=relaxation", "--set", "alternatives.shared=false")
    first = compared(files, tmp_path, *model)
    assert compared(files, tmp_path, *model) == first
    assert compared(files, tmp_path, *model, "--chip", "1")["static"] != first["static"]
    later = compared(files, tmp_path, *model, "--set", "nonideal.cell_errors.time_s=1e6")
    assert later["static"] != first["static"]
    none = compared(files, tmp_path, *model, "--set", "nonideal.cell_errors.parameters.sigma_levels=0")
    ideal = compared(files, tmp_path)
    assert [s["accuracy"] for s in none["static"]] == [s["accuracy"] for s in ideal["static"]]
    with pytest.raises(ImcsimError, match=r"did you mean 'sigma_levels'\?"):
        imcsim.compare(
            files / "net", inputs=files / "test.npz", threshold=0.2,
            overrides={
                "nonideal.cell_errors.model": "relaxation", "nonideal.cell_errors.parameters.sigma_level": 1,
            },
        )  # fmt: skip


# Files


def test_a_file_serves_every_command(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path)
    plugin = ["--plugin", str(path)]
    assert main(["plugins", *plugin]) == 0
    assert "gap" in capsys.readouterr().out
    assert main(["plugins", "check", "gap", *plugin]) == 0
    found = compared(files, tmp_path, *plugin, "--rule", "gap")
    (used,) = found["meta"]["plugins"]
    assert used == {
        "kind": "exit_rules", "name": "gap", "source": "my_chip.py", "version": "2.1",
        "sha256": plugins.PluginFile("", path.read_bytes()).sha256,
    }  # fmt: skip
    assert found["dynamic"]["rule"] == "gap"
    chosen = ["--rule", "gap", "--threshold", "0.9", *plugin]
    for command in ("run", "stream"):
        out = tmp_path / f"{command}.json"
        assert main([command, *arguments(files), *chosen, "--json", str(out)]) == 0
        assert json.loads(out.read_text())["meta"]["plugins"] == [used]
    picture = tmp_path / "timeline.json"
    less = [word for word in arguments(files) if word not in ("--images", "20")]
    assert main(["timeline", "--image", "0", *less, *chosen, "-o", str(picture)]) == 0
    assert json.loads(picture.read_text())["otherData"]["plugins"] == [used]
    capsys.readouterr()
    assert main(["compare", *[w for w in arguments(files) if w != "--quiet"], *chosen]) == 0
    assert "exit rule gap of my_chip.py 2.1" in " ".join(capsys.readouterr().out.split())


def test_python_takes_files_too(files: Path, tmp_path: Path) -> None:
    path = str(written(tmp_path))
    found = imcsim.compare(
        files / "net", inputs=files / "test.npz", threshold=0.9, rule="gap", plugins=(path,), workers=1
    )
    assert found.meta.plugins is not None
    assert found.meta.plugins[0].name == "gap"
    with pytest.raises(ImcsimError, match=r"there is no exit rule 'gop' \(did you mean 'gap'\?"):
        imcsim.compare(files / "net", inputs=files / "test.npz", threshold=0.9, rule="gop", plugins=(path,))


# Sweeps, clusters, searches, reports

AXES = {"rule": ["entropy", "gap"], "threshold": [0.5, 0.9], "axes": {"adc.bits": [4, 5]}}


@pytest.fixture(scope="module")
def swept(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A spec with a plug-in beside it, and its table from one process."""
    folder = tmp_path_factory.mktemp("swept")
    written(folder)
    named = {key: str(files / value) for key, value in base().items()}
    spec = write_spec(folder, named | AXES | {"plugins": ["my_chip.py"], "images": 20})
    sweep(load_spec(spec), folder / "one", workers=1).close()
    return spec, (folder / "one" / "table.csv").read_bytes()


@pytest.mark.usefixtures("rough_figures")
def test_a_sweep_on_two_processes_gives_the_table_of_one(swept: tuple[Path, bytes], tmp_path: Path) -> None:
    spec, table = swept
    with sweep(load_spec(spec), tmp_path / "two", workers=2) as store:
        assert store.counts() == {"done": 8, "failed": 0}
        (used,) = json.loads(store.meta["plugins"])
        assert (used["name"], used["source"], used["version"]) == ("gap", "my_chip.py", "2.1")
    assert (tmp_path / "two" / "table.csv").read_bytes() == table
    rows = list(csv.DictReader(table.decode().splitlines()))
    assert {row["rule"] for row in rows} == {"entropy", "gap"}
    assert main(["report", str(tmp_path / "two"), "--out", str(tmp_path / "page")]) == 0
    assert "exit rule gap of my_chip.py 2.1" in (tmp_path / "page" / "index.html").read_text()


def test_a_cluster_without_the_file_gives_the_same_table(swept: tuple[Path, bytes], tmp_path: Path) -> None:
    """The file is carried to the workers, which do not find it where it was."""
    spec, table = swept
    loaded = load_spec(spec)
    hidden = spec.parent / "my_chip.py"
    text = hidden.read_bytes()
    with two_workers() as cluster:
        hidden.unlink()
        try:
            sweep(loaded, tmp_path / "out", scheduler=cluster.scheduler_address).close()
        finally:
            hidden.write_bytes(text)
    assert (tmp_path / "out" / "table.csv").read_bytes() == table


def test_a_sweep_does_not_go_on_with_a_changed_plugin(swept: tuple[Path, bytes], tmp_path: Path) -> None:
    spec, _ = swept
    copy = tmp_path / "spec.yaml"
    copy.write_text(spec.read_text())
    path = written(tmp_path)
    sweep(load_spec(copy), tmp_path / "out", workers=1).close()
    path.write_text(GAP.replace("8 <<", "4 <<"))
    with pytest.raises(ImcsimError, match="exit rule gap has changed since this sweep was begun"):
        sweep(load_spec(copy), tmp_path / "out", workers=1)


def test_an_installed_package_serves_the_workers_of_a_sweep(
    with_example: Path, files: Path, tmp_path: Path
) -> None:
    named = {key: str(files / value) for key, value in base().items()}
    axes = {"estimators.adc": ["sar_adc"], "adc.bits": [4, 5], "nonideal.cell_errors.time_s": [1.0, 1e6]}
    more = {"rule": "patience", "threshold": 0.6, "encoding": "saccade", "images": 10}
    model = {"nonideal.cell_errors.model": "relaxation"}
    spec = write_spec(tmp_path, named | more | {"axes": axes, "set": model})
    tables = []
    for workers in (1, 2):
        with sweep(load_spec(spec), tmp_path / str(workers), workers=workers) as store:
            assert store.counts() == {"done": 4, "failed": 0}
            used = json.loads(store.meta["plugins"])
        assert [one["name"] for one in used] == ["relaxation", "saccade", "sar_adc", "patience"]
        tables.append((tmp_path / str(workers) / "table.csv").read_bytes())
    assert tables[0] == tables[1]


@pytest.mark.usefixtures("rough_figures")
def test_a_search_uses_a_plugin(swept: tuple[Path, bytes], tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    spec, _ = swept
    text = spec.read_text().replace("my_chip.py", str(spec.parent / "my_chip.py"))
    search = tmp_path / "search.yaml"
    search.write_text(text + "objectives: [energy, accuracy]\ntrials: 6\nbatch: 3\n")
    assert main(["search", str(search), "--out", str(tmp_path / "out"), "--workers", "1", "--quiet"]) == 0
    with open_store(tmp_path / "out") as store:
        assert json.loads(store.meta["plugins"])[0]["name"] == "gap"
        assert store.counts()["failed"] == 0


# Broken ones


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert main(list(command)) == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x = (\n", 1, "the plug-in is no Python: '(' was never closed"),
        ("import numpy\n\nraise ValueError('no luck')\n", 3, "cannot be loaded: ValueError: no luck"),
        ("import no_such_module\n", 1, "cannot be loaded: ModuleNotFoundError"),
        ("import sys\nsys.exit(0)\n", 2, "cannot be loaded: SystemExit"),
        ("x = 1\n", None, "the plug-in offers nothing (define one of exit_rules"),
        ("\nexit_rules = ['gap']\n", 2, "exit_rules: expected a mapping from name to part, got a list"),
        ("exit_rules = {'My Rule': 1}\n", 1, "'My Rule' is no name for a part"),
        ("\n\nexit_rules = {'gap': 3}\n", 3, "exit rule gap: expected an ExitRule, got int"),
        (GAP.replace("class Gap(ExitRule)", "class Gap"), 10, "exit rule gap: expected an ExitRule, got Gap"),
        (GAP.replace("best[..., -2]", "best[..., 7]"), 16, "exit rule gap: scores failed: IndexError"),
        (GAP.replace("adds=1)", "adds=1.5)"), None, "exit rule gap: work: adds: expected a whole number"),
    ],
)
def test_a_broken_file_gets_one_line_with_its_place(
    text: str, line: int | None, message: str, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, text)
    said = refused(
        capsys, "compare", *arguments(files), "--threshold", "0.5", "--plugin", str(path), "--rule", "gap"
    )
    place = f"error: {path}:" + (f"{line}:" if line else "")
    assert said.startswith(place), said
    assert message in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--plugin", "no_such.py"), "no_such.py: the plug-in cannot be read"),
        (("--rule", "entrpy"), "there is no exit rule 'entrpy' (did you mean 'entropy'?; --plugin FILE adds"),
        (("--encoding", "rat"), "there is no encoding 'rat' (did you mean 'rate'?"),
        (
            ("--set", "estimators.adc=mine"),
            "override estimators.adc: there is no estimator 'mine' (known are",
        ),
        (
            ("--set", "estimators.adx=mine"),
            "override estimators.adx: there is no component 'adx' (did you mean 'adc'?)",
        ),
        (("--set", "nonideal.cell_errors.model=mine"), "there is no cell error 'mine'"),
    ],
)
def test_names_that_nobody_offers(
    options: tuple[str, str], message: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, "compare", *arguments(files), "--threshold", "0.5", *options)


def test_specs_say_where_a_name_is_wrong(files: Path, tmp_path: Path) -> None:
    named = {key: str(files / value) for key, value in base().items()} | {"threshold": 0.5}
    for more, place in (
        ({"rule": "gap"}, "spec.yaml:5: rule: there is no exit rule 'gap'"),
        ({"rule": ["entropy", "gap"]}, "there is no exit rule 'gap'"),
        ({"plugins": ["not_there.py"]}, "there is no file 'not_there.py'"),
        ({"encoding": "wave"}, "there is no encoding 'wave'"),
    ):
        with pytest.raises(ImcsimError) as caught:
            load_spec(write_spec(tmp_path, named | more))
        assert place in str(caught.value)
        assert "spec.yaml:" in str(caught.value)


def test_two_files_with_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(written(tmp_path, GAP + "\n" * n, name)) for n, name in enumerate(("a.py", "b.py"))]
    said = refused(capsys, "plugins", "check", "gap", "--plugin", paths[0], "--plugin", paths[1])
    assert f"two plug-ins offer it: {paths[0]} and {paths[1]}" in said
    copies = [str(written(tmp_path, name=name)) for name in ("c.py", "d.py")]
    plugins.forget()
    assert main(["plugins", "check", "gap", "--plugin", copies[0], "--plugin", copies[1]]) == 0


def test_a_part_cannot_take_the_name_of_ours(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, GAP.replace('{"gap": Gap}', '{"entropy": Gap}'))
    assert main(["plugins", "--plugin", str(path)]) == 0
    assert "hidden" in capsys.readouterr().out
    assert compared(files, tmp_path, "--plugin", str(path)) == compared(files, tmp_path)


def test_a_broken_clause_ends_the_check_with_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, GAP.replace("compares=classes", "compares=-classes"))
    assert main(["plugins", "check", "gap", "--plugin", str(path)]) == 2
    said = capsys.readouterr()
    assert "BROKEN  Operations and cycles are whole numbers" in said.out
    assert "2 clauses are broken" in said.err


def test_a_file_may_define_data_classes_and_is_run_again_only_when_it_changes(tmp_path: Path) -> None:
    text = GAP + "\nfrom dataclasses import dataclass\n\n@dataclass\nclass About:\n    x: int = 1\n"
    path = written(tmp_path, text + f"\nopen({str(tmp_path / 'runs')!r}, 'a').write('x')\n")
    for _ in range(3):
        plugins.load_file(path)
    assert (tmp_path / "runs").read_text() == "x"
    path.write_text(path.read_text() + "\n")
    plugins.load_file(path)
    assert (tmp_path / "runs").read_text() == "xx"


def test_a_child_process_finds_the_installed_example(with_example: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "imcsim", "plugins", "check", "patience"],
        capture_output=True, text=True, timeout=120, check=True, env=dict(os.environ),
    )  # fmt: skip
    assert "patience, of imcsim-example 1.0.0" in done.stdout


def test_the_example_has_one_part_of_each_kind() -> None:
    text = (EXAMPLE / "pyproject.toml").read_text()
    assert [f'"imcsim.{kind}"' in text for kind in plugins.KINDS] == [True] * 4
    assert np.all([(EXAMPLE / "imcsim_example" / f"{name}.py").exists() for name in ("patience", "saccade")])


# The page


def test_the_page_s_file_does_what_the_page_says(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    code, said = (page.split(f"```{kind}\n")[1].split("```")[0] for kind in ("python", "text"))
    path = written(tmp_path, code)
    assert main(["plugins", "check", "gap", "--plugin", str(path)]) == 2
    assert said in capsys.readouterr().out
    units = "Units(comparators=2, adders=1"
    assert f"{units})  #" in page
    assert f"{units}, multipliers=1)" in page
    path.write_text(code.replace(f"{units})", f"{units}, multipliers=1)"))
    assert main(["plugins", "check", "gap", "--plugin", str(path)]) == 0
    found = compared(files, tmp_path, "--plugin", str(path), "--rule", "gap")
    assert found["checker"]["cycles_per_check"] == 4 + 1 + 1  # and the way of the verdict over one link
