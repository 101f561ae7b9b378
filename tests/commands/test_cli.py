"""The command line: what it passes on, where it prints, how it fails. The simulator behind it is replaced."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from sample_results import compare_result, run_result

import imcsim.hardware
import imcsim.inputs
import imcsim.network
from imcsim import __version__
from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import cli, main
from imcsim.commands.completion import COMPLETE_VARIABLE
from imcsim.commands.options import EXITING
from imcsim.results.comparison import CompareResult
from imcsim.results.model import to_json
from imcsim.results.run import RunResult
from imcsim.simulation.values import COMPUTED
from imcsim.studies.settings import CompareOptions

COMPARED = compare_result(images=20)
RAN = run_result(images=20)


class Loaded(tuple[Any, ...]):
    """What was loaded, and how; as a network or inputs it has what the command line looks at."""

    timesteps, input_shape, coding = 4, (3, 8, 8), "direct"


PLAIN = {"encoding": None, "timesteps": 4, "seed": 0, "shape": (3, 8, 8), "bin_us": None}
"""How validation images are loaded where nothing else is said."""


class Simulator:
    """Stands in for the floors below the command line and keeps what it was asked."""

    def __init__(self) -> None:
        self.loaded: list[tuple[str, Any]] = []
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.failure: BaseException | None = None

    def load(self, kind: str) -> Callable[..., Any]:
        def load(name: str, *more: Any, **settings: Any) -> Any:
            self.loaded.append((kind, name))
            return Loaded((kind, name, *more, settings))

        return load

    def result(self, name: str, result: Any) -> Callable[..., Any]:
        def call(*arguments: Any, **settings: Any) -> Any:
            self.calls.append((name, arguments, settings))
            arguments[5]("images", 1, 2)
            if self.failure is not None:
                raise self.failure
            return result

        return call


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Simulator:
    fake = Simulator()
    module = ModuleType("imcsim.studies.comparison")
    module.__dict__.update(compare=fake.result("compare", COMPARED), run=fake.result("run", RAN))
    monkeypatch.setitem(sys.modules, "imcsim.studies.comparison", module)
    monkeypatch.setattr(imcsim.hardware, "load", fake.load("hardware"), raising=False)
    monkeypatch.setattr(imcsim.network, "load", fake.load("network"))
    monkeypatch.setattr(imcsim.inputs, "load", fake.load("inputs"))
    return fake


def _run(
    *arguments: str, code: str = "", encoding_name: str = "utf-8", **settings: Any
) -> subprocess.CompletedProcess[str]:
    """The command line (or `code`) in a process of its own."""
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "PYTHONIOENCODING": encoding_name}
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "imcsim", *arguments]
    return subprocess.run(command, env=environment, text=True, check=False, **settings)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from imcsim.commands.cli import main; status = main(['--help'])\n"
        "heavy = {'numpy', 'numba', 'simpy', 'pydantic', 'rich', 'matplotlib', 'yaml'} & set(sys.modules)\n"
        "print(sorted(heavy), status)"
    )
    done = _run(code=code, capture_output=True)
    assert done.stdout.splitlines()[-1] == "[] 0"
    assert "compare" in done.stdout


def test_version_and_bare_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"imcsim {__version__}\n"
    assert main([]) == 2
    assert "Usage: imcsim" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["compare", "run"])
def test_defaults(simulator: Simulator, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command]) == 0
    ((name, arguments, settings),) = simulator.calls
    network, hardware, inputs, validation, options, _ = arguments
    assert name == command
    assert network == ("network", "vgg16_running_cifar10", {})
    assert hardware == ("hardware", "dtsnn_32nm", {}, {})
    assert inputs == ("inputs", "cifar10_test", None, PLAIN | {"labels": None, "labelled": True})
    assert validation == ("inputs", "cifar10_validation", PLAIN)
    assert options == CompareOptions()
    how = {"other": None} if command == "compare" else {"policy": "dynamic"}
    assert settings == how | {"values": COMPUTED}
    captured = capsys.readouterr()
    assert "Energy by component" in captured.out
    assert captured.err == ""


def test_dynamic_only_is_a_run_at_the_threshold_given(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--dynamic-only", "--threshold", "0.3", "--images", "7"]) == 0
    ((name, arguments, settings),) = simulator.calls
    assert name == "run"
    assert arguments[4] == CompareOptions(threshold=0.3)
    assert settings == {"policy": "dynamic", "values": COMPUTED}
    capsys.readouterr()
    for more, told in (
        ([], "--dynamic-only needs --threshold"),
        (["--threshold", "0.3", "--chips", "2"], "--chips compares with static timesteps"),
        (["--threshold", "0.3", "--against", "x"], "--against compares with static timesteps"),
    ):
        assert main(["compare", "--dynamic-only", *more]) == 2
        assert told in capsys.readouterr().err


def test_every_option_arrives(simulator: Simulator) -> None:
    command = "compare --hardware h.yaml --model m --inputs i.npz --timesteps 6 --threshold 0.3 --rule margin"
    command += " --accumulation sum --images 7 --seed 5 --workers 3 --encoding rate --bin-us 9 --labels l.npy"
    command += " --set adc.bits=5 --set clock.gating=idle_tiles"
    assert main(command.split()) == 0
    network, hardware, inputs, validation, options, _ = simulator.calls[0][1]
    assert (network[1], hardware[1], inputs[1:3]) == ("m", "h.yaml", ("i.npz", 7))
    assert hardware[2] == {"adc.bits": 5, "clock.gating": "idle_tiles"}
    encoded = {"encoding": "rate", "timesteps": 6, "seed": 5, "shape": (3, 8, 8), "bin_us": 9}
    assert inputs[3] == encoded | {"labels": "l.npy", "labelled": True}
    assert validation is None
    assert options == CompareOptions(
        timesteps=6, threshold=0.3, rule="margin", accumulation="sum", seed=5, workers=3
    )


def test_own_inputs_need_own_validation_images(
    simulator: Simulator,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.npz").touch()
    assert main(["compare", "--inputs", "mine.npz"]) == 2
    assert "--validation" in capsys.readouterr().err
    assert simulator.loaded == []
    assert main(["compare", "--inputs", "mine.npz", "--validation", "others.npz"]) == 0
    assert simulator.calls[0][1][3][1] == "others.npz"


@pytest.mark.parametrize("command", ["compare", "run"])
def test_validation_images_go_with_a_threshold(simulator: Simulator, command: str) -> None:
    # They calibrate the ADCs then, and choose nothing.
    assert main([command, "--threshold", "0.1", "--validation", "v"]) == 0
    assert main([command, "--threshold", "0.1", "--inputs", "mine.npz", "--validation", "v"]) == 0
    for _, arguments, _ in simulator.calls:
        assert arguments[3][1] == "v"
        assert arguments[4].threshold == 0.1


def test_built_in_inputs_bring_their_validation_images(simulator: Simulator) -> None:
    for arguments in (["run", "--policy", "static"], ["compare", "--threshold", "0.1"]):
        assert main(arguments) == 0
    assert [call[1][3][1] for call in simulator.calls] == ["cifar10_validation"] * 2


def test_static_run_chooses_nothing(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--policy", "static", "--inputs", "mine.npz"]) == 0
    assert simulator.calls[0][1][3] is None
    assert simulator.calls[0][2] == {"policy": "static", "values": COMPUTED}
    for extra in (
        ["--threshold", "0.1"],
        ["--rule", "entropy"],
        ["--validation", "x"],
        ["--accumulation", "sum"],
    ):
        assert main(["run", "--policy", "static", *extra]) == 2
        assert f"{extra[0]} belongs to --policy dynamic" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        "--threshold nan",
        "--threshold inf",
        "--threshold -0.1",
        "--threshold 1.01",
        "--threshold x",
        "--timesteps 0",
        "--timesteps 4097",
        "--images 0",
        "--workers 0",
        "--seed -1",
        "--rule luck",
        "--unknown",
        "stray",
    ],
)
def test_wrong_usage(simulator: Simulator, capsys: pytest.CaptureFixture[str], arguments: str) -> None:
    assert main(["compare", *arguments.split()]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()  # as all other errors are told
    assert line.startswith("error: ")
    assert line.endswith("(see imcsim compare --help)") or "(known are entropy," in line
    assert captured.out == ""
    assert simulator.loaded == []


def test_json_on_stdout_is_nothing_but_the_document(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert captured.out == to_json(COMPARED)
    assert "Energy by component" in captured.err
    assert main(["run", "--json", "-", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert RunResult.model_validate(json.loads(captured.out)) == RAN
    assert captured.err == ""


@pytest.mark.usefixtures("rough_figures")
def test_files_are_written(simulator: Simulator, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target, folder = tmp_path / "result.json", tmp_path / "out"
    assert main(["compare", "--json", str(target), "--out", str(folder), "--quiet"]) == 0
    assert CompareResult.model_validate_json(target.read_text()) == COMPARED
    assert (folder / "result.json").read_text() == target.read_text()
    assert (folder / "figures" / "accuracy_edp.svg").is_file()
    assert capsys.readouterr().out == ""


def test_quiet_keeps_the_tables_when_nothing_else_holds_the_result(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--quiet"]) == 0
    assert "Energy by component" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--out", "--json"])
def test_impossible_targets_fail_before_the_work(
    simulator: Simulator, capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    target = file if option == "--out" else tmp_path
    assert main(["compare", option, str(target)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {target}: is a f")
    assert simulator.loaded == []
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        (
            ImcsimError("no such key", file="a.yaml", line=3, fix="remove it"),
            2,
            "error: a.yaml:3: no such key (remove it)",
        ),
        (ImcsimError("a\x1b[31mb"), 2, "error: a?[31mb"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            OSError(errno.ENOSPC, "No space left on device", "x.json"),
            2,
            "error: x.json: the disk is full (make room on the disk, or choose another one)",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            2,
            "error: x: Permission denied (choose another place, or have its permissions changed)",
        ),
        (MemoryError(), 2, "error: not enough memory (try fewer --images or --workers)"),
        (
            RuntimeError("can't start new thread"),
            2,
            "error: no more threads can be started: memory or their number is limited (try fewer --workers)",
        ),
        (
            ZeroDivisionError("division\nby zero"),
            1,
            "error: internal error, please report it: ZeroDivisionError: division by zero "
            "(IMCSIM_DEBUG=1 shows where)",
        ),
    ],
)
def test_failures_are_one_line(
    simulator: Simulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    status: int,
    message: str,
) -> None:
    monkeypatch.delenv("IMCSIM_DEBUG", raising=False)
    simulator.failure = failure
    assert main(["compare"]) == status
    captured = capsys.readouterr()
    assert captured.err.strip() == message
    assert captured.out == ""


def test_debug_shows_internal_errors(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMCSIM_DEBUG", "1")
    simulator.failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        main(["compare"])


def test_progress_only_where_someone_watches(
    simulator: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["compare"]) == 0
    assert "images" in capsys.readouterr().err
    assert main(["compare", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", [("--help",), ("compare", "--help"), ("--version",)])
def test_a_reader_that_goes_away_is_no_error(arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = _run(*arguments, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = _run("--help", stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (
        2,
        "error: output: the disk is full (make room on the disk, or choose another one)\n",
    )


def test_names_beyond_the_encoding_are_no_error() -> None:
    code = (
        "import imcsim.network; from imcsim.commands.cli import main\n"
        "imcsim.network.names = lambda: [chr(0x3B1)]\n"
        "raise SystemExit(main(['model', 'list']))"
    )
    done = _run(code=code, capture_output=True, encoding_name="latin-1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\u03b1\n", "")


# The catalogues


def test_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    for command, module in (
        ("hardware", imcsim.hardware),
        ("model", imcsim.network),
        ("inputs", imcsim.inputs),
    ):
        monkeypatch.setattr(module, "names", lambda: ["one", "two"], raising=False)
        done = CliRunner().invoke(cli, [command, "list"])
        assert (done.exit_code, done.output) == (0, "one\ntwo\n")


ROWS = [
    ("adc.bits", 4, "bit", "paper", "dtsnn"),
    ("adc.conversion_energy_pj", 0.1, "pJ", "unsourced", None),
]


def test_hardware_show_and_check(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imcsim.hardware, "describe", lambda hardware, short=False: ROWS)
    monkeypatch.setattr(imcsim.hardware, "sources", lambda hardware: {"dtsnn": "Li et al., DAC 2023"})
    shown = CliRunner().invoke(cli, ["hardware", "show", "dtsnn_32nm"]).output
    assert "adc.conversion_energy_pj" in shown
    assert "Li et al., DAC 2023" in shown
    assert "None" not in shown
    checked = CliRunner().invoke(cli, ["hardware", "check", "my.yaml"])
    assert checked.output == "my.yaml: sound, 2 values, 1 without a source\n"
    assert simulator.loaded == [("hardware", "dtsnn_32nm"), ("hardware", "my.yaml")]


def test_model_show_and_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    network = SimpleNamespace(
        name="net", weighted=(1, 2), provenance={"data": {"name": "CIFAR-10"}, "accuracy": [0.5, 0.75]}
    )
    monkeypatch.setattr(imcsim.network, "load", lambda name: network)
    monkeypatch.setattr(
        imcsim.network, "describe", lambda n: [("conv1", "conv", "64 x 32 x 32", "1,728", "3x3")]
    )
    shown = CliRunner().invoke(cli, ["model", "show", "net"]).output
    assert "64 x 32 x 32" in shown
    assert any(line.split() == ["data.name", "CIFAR-10"] for line in shown.splitlines())
    assert any(line.split() == ["accuracy", "0.5,", "0.75"] for line in shown.splitlines())
    problems: list[str] = []
    monkeypatch.setattr(imcsim.network, "check", lambda name: problems)
    assert CliRunner().invoke(cli, ["model", "check", "net"]).output == "net: sound, 2 layers with weights\n"
    problems += ["network.yaml:3: no", "network.yaml:9: no either"]
    assert main(["model", "check", "net"]) == 2
    assert capsys.readouterr().err == "error: network.yaml:3: no\nnetwork.yaml:9: no either\n"


def test_inputs_show(tmp_path: Path) -> None:
    path = tmp_path / "five.npz"
    imcsim.inputs.save(path, np.zeros((5, 3, 8, 8), np.uint8), np.array([0, 0, 0, 1, 1]), split="test")
    shown = CliRunner().invoke(cli, ["inputs", "show", str(path)]).output
    assert "3 x 8 x 8" in shown
    assert "2 different ones, 2 to 3 images each" in shown
    assert imcsim.inputs.load(path).sha256 in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("compare --modle x", "no such option '--modle' (did you mean '--model'?)"),
        ("comapre", "no such command 'comapre' (did you mean 'compare'?)"),
        ("model shw vgg7", "no such command 'shw' (did you mean 'show'?)"),
        (
            "model show vgg7",
            "there is no network 'vgg7' (did you mean 'vgg7_cifar10', 'vgg7_ann_cifar10' or "
            "'vgg7_variation_cifar10'?)",
        ),
        ("hardware show dtsnn", "(did you mean 'dtsnn_32nm'?)"),
        ("compare --inputs cifar10_tst", "there are no inputs 'cifar10_tst' (did you mean 'cifar10_test'?)"),
    ],
)
def test_near_misses(capsys: pytest.CaptureFixture[str], arguments: str, told: str) -> None:
    assert main(arguments.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(told)


def _paths(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of a command and of all below it."""
    yield path
    for name, below in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _paths(below, (*path, name))


@pytest.mark.parametrize("path", list(_paths(cli)), ids=" ".join)
def test_help_fits_80_columns(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(cli, [*path, "--help"])
    assert shown.exit_code == 0
    assert max(map(len, shown.output.splitlines())) <= 80
    about = shown.output.partition("\n\n")[2]
    assert "..." not in re.sub(r",(FLOAT|N),?\.\.\.|1, \.\.\., T max", "", about)  # no summary is cut off


def test_help_names_every_command_and_option_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Groups lose none, whatever is added later."""
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in cli.commands:
        assert len(re.findall(rf"^  {name} ", text, re.MULTILINE)) == 1, name
    for name in ("compare", "run", "stream", "sweep", "import"):
        assert main([name, "--help"]) == 0
        text = capsys.readouterr().out
        for parameter in cli.commands[name].params:
            if isinstance(parameter, click.Option):
                assert len(re.findall(rf"^  {parameter.opts[0]}(?![-\w])", text, re.MULTILINE)) == 1, (
                    parameter.opts
                )


@pytest.mark.parametrize("command", ["compare", "run", "stream"])
def test_every_option_of_a_run_stands_in_a_group(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Options:" not in text
    exits = text.partition("Early exit:")[2].partition("Output:")[0]
    for name in EXITING:
        assert f"--{name.replace('_', '-')}" in exits, name


def test_info_names_what_a_report_of_a_fault_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["imcsim"]["version"] == __version__
    assert found["packages"]["numpy"] == np.__version__
    assert any(name.startswith("nir: ") for name in found["optional parts"])
    assert main(["info"]) == 0
    assert found["machine"]["processor"] in capsys.readouterr().out


def test_completion_of_powershell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script asks for completions with a tab between kind, value and help."""
    assert main(["completion", "powershell"]) == 0
    script = capsys.readouterr().out
    assert "Register-ArgumentCompleter -Native -CommandName imcsim" in script
    assert main(["completion", "pwsh"]) == 0  # the name of its program
    assert capsys.readouterr().out == script
    monkeypatch.setenv(COMPLETE_VARIABLE, "powershell_complete")
    monkeypatch.setenv("COMP_WORDS", "imcsim\ncompare\n--model")
    monkeypatch.setenv("COMP_CWORD", "3")
    with pytest.raises(SystemExit):
        main([])
    assert "plain\tvgg7_cifar10\tvgg7_cifar10\n" in capsys.readouterr().out
