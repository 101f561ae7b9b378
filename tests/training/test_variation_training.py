"""Training for cells that vary: a weight has the noise of the simulator's cells, and nothing else changes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imcsim.base.nonideal import Variation
from imcsim.functional.nonideal import DrawnChip
from imcsim.functional.nonideal.programming import programmed
from imcsim.network.cells import to_cells

torch: Any = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "training"))
variation: Any = pytest.importorskip("variation")
architectures: Any = pytest.importorskip("architectures")
export: Any = pytest.importorskip("export")
train: Any = pytest.importorskip("train")

BITS = 8
RATIO = 10.0


@pytest.mark.parametrize("encoding", ["offset", "differential", "twos_complement"])
def test_weights_vary_as_much_as_those_in_the_cells_of_a_chip(encoding: Any) -> None:
    """The spread of each weight over 2,000 chips, put together from cells less their reference column."""
    weight = np.array([[-128 if encoding == "offset" else -127, -100, -1, 0, 1, 15, 16, 127]])
    cells = to_cells(weight, BITS, 4, encoding)
    levels = cells.levels.transpose(2, 0, 1).reshape(weight.shape[1], -1)
    held = []
    for seed in range(2000):
        chip = DrawnChip(
            seed, 0, 15, 64, 8, off_level=15 / 9, variation=Variation(kind="normal", sigma=(0.1,) * 16)
        )
        seen = programmed(levels, len(cells.factor), chip, 0).levels().astype(np.float64)
        held.append(seen @ cells.factor + cells.offset)
    wanted = np.std(held, axis=0)
    varied = variation.CellVariation(0.1, encoding, 4, RATIO)
    got = varied.deviation(torch.from_numpy(weight[0]).float(), BITS).numpy()
    # 2,000 draws know a standard deviation to 1.6 %.
    assert np.allclose(got, wanted, rtol=0.07)


def test_a_varied_weight_has_this_spread_and_the_gradient_of_the_weight() -> None:
    torch.manual_seed(1)
    scale = torch.tensor([[0.02], [0.5]])
    steps = torch.tensor([[40.0, -3.0], [0.0, 127.0]])
    weight = (steps * scale).requires_grad_()
    cells = variation.CellVariation(0.2)
    drawn = torch.stack([cells.varied(weight, scale, BITS) for _ in range(4000)])
    spread = cells.deviation(steps, BITS) * scale
    assert torch.allclose(drawn.std(0), spread, rtol=0.06)
    assert torch.all((drawn.mean(0) - weight).abs() < 5 * spread / 4000**0.5)
    (drawn[0] * torch.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert torch.equal(weight.grad, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


def test_a_network_varies_only_while_it_is_trained() -> None:
    torch.manual_seed(2)
    network = architectures.SpikingVGG([4, "M", 4], size=8)
    plain = network.quantised(network.convs[0].weight)
    network.variation = variation.CellVariation(0.2)
    assert not torch.equal(network.train().quantised(network.convs[0].weight), plain)
    assert torch.equal(network.eval().quantised(network.convs[0].weight), plain)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--variation", "-1"), "use 0 or more"),
        (("--variation", "nan"), "use 0 or more"),
        (("--variation", "0.1", "--cell-bits", "0"), "use 1 to 8"),
        (("--variation", "0.1", "--on-off-ratio", "1"), "use more than 1"),
        (("--variation", "0.1", "--weight-bits", "0"), "give --weight-bits"),
        (("--frozen-norms",), "give --init"),
    ],
)
def test_a_variation_that_no_cell_has_is_refused(
    flags: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["train.py", "--data", str(tmp_path), "--out", str(out), *flags])
    with pytest.raises(SystemExit, match=message):
        train.main()
    assert not out.exists()


def test_a_bundle_says_how_its_weights_were_trained_for_variation() -> None:
    said = {"stages": "1:2", "seed": "7", "weight_bits": "8", "encoding": "offset", "cell_bits": "4"}

    def command(**more: str) -> str:
        facts = {"arguments": said | more, "epoch": 2, "log": []}
        return str(export.training_provenance(facts)["command"])

    assert command(variation="0.2", frozen_norms="True").endswith(
        "--weight-bits 8 --encoding offset --cell-bits 4 --variation 0.2 --frozen-norms"
    )
    assert command(variation="0.0", frozen_norms="False").endswith("--weight-bits 8")
