"""Results in notebooks, papers and files; images as training scripts have them; the monitor of a training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imcsim
import imcsim.network
from imcsim.base.errors import ImcsimError
from imcsim.importers.live.shown import inputs_of
from imcsim.inputs import Inputs
from imcsim.network.graph import LIF, Linear, Network
from imcsim.results.comparison import CompareResult


def network(bits: int = 8, scale: float = 1 / 255, **options: Any) -> Network:
    """Two classes of 2 x 3 x 3 pixels."""
    weight = np.random.default_rng(0).integers(-7, 8, (2, 18)).astype(np.int8)
    fc = Linear("fc", ("input",), weight, np.full(2, 0.125), np.zeros(2))
    out = LIF("out", ("fc",), 0.5, 1.0, "soft")
    about = {"imported": {"options": options}} if options else {}
    return Network("tiny", (2, 3, 3), bits, scale, 2, 3, 4, (fc, out), about)


CODES = np.random.default_rng(1).integers(0, 256, (12, 2, 3, 3)).astype(np.uint8)
LABELS = np.arange(12) % 2


@pytest.fixture(scope="module")
def compared() -> CompareResult:
    return imcsim.compare(network(), "dtsnn_32nm", (CODES, LABELS), threshold=0.5)


# --- what is shown


def test_a_short_repr_and_a_page_for_notebooks(compared: CompareResult) -> None:
    text = repr(compared)
    assert text == str(compared)
    assert len(text) < 300
    assert "\n" not in text
    assert f"{compared.dynamic.mean_timesteps:.2f} of 3" in text
    page = compared._repr_html_()
    assert page.count("<table>") == page.count("<img") == 1
    assert "data:image/png;base64," in page
    rows = page.split("<tr>")[2:]
    assert len(rows) == 1 + 2 * 2 + 1 + 2  # T = 1; two issue policies for T = 2, 3; dynamic; two changes
    assert f"{compared.dynamic.mean_timesteps:.3f}" in page


def test_latex_is_escaped_and_has_the_rules_of_booktabs(compared: CompareResult) -> None:
    text = compared.to_latex()
    assert text.startswith("\\begin{tabular}{lrrrrrr}\n\\toprule\n")
    assert text.rstrip().endswith("\\bottomrule\n\\end{tabular}")
    body = text.split("\\toprule\n")[1].split("\\bottomrule")[0]
    lines = [line for line in body.splitlines() if "rule" not in line]
    assert all(line.endswith(r" \\") and line.count(" & ") == 6 for line in lines)
    assert not any("%" in line.replace(r"\%", "") for line in lines)
    assert r"\\[" not in text  # a bracket after a line break is a length


def test_figures_by_name(compared: CompareResult) -> None:
    assert compared.figures[0] == "accuracy_edp"
    assert type(compared.plot()).__name__ == "Figure"
    assert compared.plot("exits") is not compared.plot("exits")
    with pytest.raises(ImcsimError, match="did you mean 'exits'"):
        compared.plot("exit")


def test_results_are_saved_and_loaded(compared: CompareResult, tmp_path: Path) -> None:
    compared.save(tmp_path / "one.json")
    assert imcsim.load_result(tmp_path / "one.json") == compared
    text = (tmp_path / "one.json").read_text()
    (tmp_path / "one.json").write_text(text.replace('"mean_timesteps": ', '"mean_timesteps": 1'))
    with pytest.raises(ImcsimError, match="the result is not sound"):
        imcsim.load_result(tmp_path / "one.json")


@pytest.mark.slow
def test_results_are_saved_with_tables_and_figures(compared: CompareResult, tmp_path: Path) -> None:
    compared.save(tmp_path / "folder")
    assert imcsim.load_result(tmp_path / "folder") == compared
    assert (tmp_path / "folder" / "figures" / "accuracy_edp.png").exists()


def test_other_results_are_shown_too(tmp_path: Path) -> None:
    about: dict[str, Any] = {"inputs": (CODES, LABELS), "threshold": 0.5}
    errors = {"nonideal.variation.sigma": 0.02}
    for found in (
        imcsim.run(network(), **about),
        imcsim.stream(network(), **about),
        imcsim.compare_chips(network(), chips=2, overrides=errors, **about),
    ):
        assert "<img" in found._repr_html_()
        assert "\\bottomrule" in found.to_latex()
        found.plot(found.figures[-1])
        found.save(tmp_path / "result.json")
        assert imcsim.load_result(tmp_path / "result.json") == found
        assert repr(found).startswith(f"<{type(found).__name__}: tiny on dtsnn_32nm, 12 images")


def test_frames_without_pandas(compared: CompareResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImcsimError, match="data frames need pandas"):
        compared.to_frame()


# --- chips and inputs


def test_chips_as_overrides(compared: CompareResult) -> None:
    about: dict[str, Any] = {"inputs": (CODES, LABELS), "threshold": 0.5}
    nested = imcsim.compare(network(), {"extends": "dtsnn_32nm", "adc": {"bits": 5}}, **about)
    dotted = imcsim.compare(network(), overrides={"adc.bits": 5}, **about)
    assert nested == dotted
    assert nested.dynamic.energy_pj < compared.dynamic.energy_pj
    with pytest.raises(ImcsimError, match=r"adc\.bit"):
        imcsim.compare(network(), {"adc.bit": 5}, **about)


def given(kind: str) -> Any:
    """`CODES` and `LABELS` as a script may have them."""
    real = CODES / 255
    batches = [(real[:5], LABELS[:5]), (real[5:10], LABELS[5:10]), (real[10:], LABELS[10:])]
    if kind in ("tensors", "loader", "dataset"):
        torch = pytest.importorskip("torch")
        pixels = torch.tensor(real, dtype=torch.float32)
        kept = torch.utils.data.TensorDataset(pixels, torch.tensor(LABELS))
        loader = torch.utils.data.DataLoader(kept, batch_size=5)
        return {"tensors": (pixels, torch.tensor(LABELS)), "loader": loader, "dataset": kept}[kind]
    return {
        "codes": (CODES, LABELS),
        "real": (real, LABELS.astype(np.int32)),
        "rows": (real.reshape(12, 18), LABELS),
        "batches": batches,
        "generator": (batch for batch in batches),
        "items": list(zip(real, LABELS, strict=True)),
    }[kind]


KINDS = ["codes", "real", "rows", "batches", "generator", "items", "tensors", "loader", "dataset"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [None, 7])
def test_images_in_every_form_are_the_same_pixels(kind: str, count: int | None) -> None:
    found = inputs_of(given(kind), network(), count, "inputs")
    np.testing.assert_array_equal(found.images, CODES[:count])
    np.testing.assert_array_equal(found.labels, LABELS[:count])
    assert found.images.dtype == np.uint8


@pytest.mark.parametrize("first", ["images", "timesteps"])
@pytest.mark.parametrize("batched", [False, True])
def test_frames_with_images_or_timesteps_first(first: str, batched: bool) -> None:
    frames = np.random.default_rng(2).integers(0, 2, (12, 4, 2, 3, 3)).astype(bool)
    pieces = [(frames[a:b], LABELS[a:b]) for a, b in ((0, 5), (5, 12))] if batched else [(frames, LABELS)]
    if first == "timesteps":
        pieces = [(values.swapaxes(0, 1), labels) for values, labels in pieces]
    found = inputs_of(pieces if batched else pieces[0], network(1, 1.0), 9, "inputs")
    np.testing.assert_array_equal(found.images, frames[:9])
    assert found.timed
    assert found.spikes


def test_a_normalisation_is_undone() -> None:
    """By what the network's provenance says, so that a network that was saved has it too."""
    mean, std = np.array([0.5, 0.25]), np.array([0.25, 0.5])
    normalised = (CODES / 255 - mean[:, None, None]) / std[:, None, None]
    told = network(mean=[0.5, 0.25], std=[0.25, 0.5])
    found = inputs_of((normalised.astype(np.float32), LABELS), told, None, "inputs")
    np.testing.assert_array_equal(found.images, CODES)
    with pytest.raises(ImcsimError, match="beyond what 8-bit pixels of this network are worth"):
        inputs_of((normalised, LABELS), network(), None, "inputs")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((CODES, LABELS[:5]), "12 images but 5 labels"),
        ((CODES[:, :1], LABELS), "1 x 3 x 3, but the network takes 2 x 3 x 3"),
        ((CODES.astype(int) * 2, LABELS), "must be 0 to 255"),
        ((CODES, LABELS + 0.5), "labels must be integers"),
        (np.zeros(3), "cannot be ndarray"),
        (3, "cannot be int"),
        ([], "holds no images"),
        ([1, 2, 3], "it gives int, not images with labels"),
    ],
)
def test_what_is_no_inputs(wrong: Any, message: str) -> None:
    with pytest.raises(ImcsimError, match=message):
        inputs_of(wrong, network(), None, "inputs")
    with pytest.raises(ImcsimError):
        imcsim.run(network(), inputs=wrong, threshold=0.5)


def test_more_images_than_there_are() -> None:
    for kind in ("codes", "batches", "items"):
        with pytest.raises(ImcsimError, match="13 images were asked for"):
            inputs_of(given(kind), network(), 13, "inputs")


# --- a sweep, a training


def test_a_sweep_of_objects() -> None:
    spec = {
        "model": network(), "inputs": (CODES / 255, LABELS), "threshold": 0.5, "axes": {"adc.bits": [5, 8]},
    }  # fmt: skip
    expected = imcsim.compare(network(), {"adc.bits": 5}, (CODES, LABELS), threshold=0.5)
    with imcsim.sweep(spec, workers=1) as store:
        found = [row["energy_pj"] for row in store.rows() if row["policy"] == "dynamic"]
    assert found[0] == pytest.approx(expected.dynamic.energy_pj)
    assert len(found) == 2


def test_the_monitor_of_a_training() -> None:
    torch = pytest.importorskip("torch")
    import frameworks

    frameworks.need("snntorch")
    import snntorch as snn

    parts = torch.nn.Flatten(), torch.nn.Linear(18, 2), snn.Leaky(beta=0.5, init_hidden=True)
    module = torch.nn.Sequential(*parts)
    logged: list[Any] = []
    monitor = imcsim.Monitor(given("loader"), images=10, timesteps=3, threshold=0.5, log=logged.append)
    for epoch in range(2):
        with torch.no_grad():
            module[1].weight += 0.5
        row = monitor(module, epoch=5 + epoch)
        images = (given("tensors")[0][:10], LABELS[:10])
        expected = imcsim.run(module, inputs=images, timesteps=3, threshold=0.5).outcome
        assert row["energy_pj"] == expected.energy_pj
        assert row["accuracy"] == expected.accuracy
    assert logged == monitor.rows
    assert [row["epoch"] for row in monitor.rows] == [5, 6]
    assert monitor.rows[0]["equal_spikes"] == 1.0
    assert monitor.rows[0]["energy_pj"] != monitor.rows[1]["energy_pj"]
    with pytest.raises(ImcsimError, match="needs inputs as its script has them"):
        imcsim.run(module, inputs=Inputs(CODES, LABELS, "x", "test", ""), threshold=0.5)
