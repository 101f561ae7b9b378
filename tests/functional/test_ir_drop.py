"""Wire resistance: the exact solver against hand and independent solutions, the ladders against it."""

from __future__ import annotations

import csv
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from imcsim.base.errors import ImcsimError
from imcsim.base.nonideal import Wires
from imcsim.functional.nonideal import DrawnChip, ladders
from imcsim.functional.nonideal.columns import lay_columns
from imcsim.functional.nonideal.exact import Crossbar
from imcsim.functional.nonideal.ir_drop import Seen, seen
from imcsim.functional.nonideal.programming import Cells
from imcsim.functional.nonideal.wired import crossbar_rows, through_wires
from imcsim.network.rows import layout

G_OFF, G_LEVEL = 5e-6, 3e-6
"""S: 4-bit cells of 20 to 200 kOhm."""


MEASURED = Path(__file__).parents[2] / "benchmarks" / "ir_drop.csv"


def needs_scipy() -> None:
    pytest.importorskip("scipy")


def cells(seed: int, rows: int, columns: int) -> np.ndarray:
    return G_OFF + G_LEVEL * np.random.default_rng(seed).integers(0, 16, (rows, columns))


def random_reads(seed: int, rows: int, density: float, reads: int = 12) -> np.ndarray:
    active = np.random.default_rng(seed).random((reads, rows)) < density
    active[~active.any(axis=1), 0] = True
    return active


# --- the exact solver


def test_two_by_two_of_one_ohm_solved_by_hand() -> None:
    """All resistances 1 Ohm, both rows at 1 V.

    The mirror image that swaps row 0 with column 1 and row 1 with column 0 turns every voltage v into 1 -
    v: b00 = 1 - w11, b01 = 1 - w01, b10 = 1 - w10, b11 = 1 - w00. Kirchhoff at w01, w00, w11 and w10 then
    gives w00 = 3 w01 - 1, 3 w00 + w11 - w01 = 2, w10 + 1 = 2 w11 + w00 and 4 w10 - w11 = 2: w01 = 25/44,
    w00 = 31/44, w11 = 20/44, w10 = 27/44. What leaves the columns is b10 and b11 over 1 Ohm.
    """
    needs_scipy()
    found = Crossbar(np.ones((2, 2)), Wires(wordline_ohm=1, bitline_ohm=1)).read(np.ones((1, 2)))
    np.testing.assert_allclose(found.column_a, [[17 / 44, 13 / 44]], rtol=1e-14)
    np.testing.assert_allclose(found.row_a, [[13 / 44, 17 / 44]], rtol=1e-14)
    np.testing.assert_allclose(found.power_w, [30 / 44], rtol=1e-14)


def test_two_by_two_of_unequal_resistances_solved_in_fractions() -> None:
    """Kirchhoff's law at each node written out, 1 V on row 0 only, solved in exact fractions."""
    needs_scipy()
    w, b, d, e = Fraction(1, 2), Fraction(1, 3), Fraction(1, 5), Fraction(1, 7)  # S, wires; d, e: at the ends
    g = [[Fraction(1), Fraction(2)], [Fraction(3), Fraction(1, 2)]]
    at = {name: k for k, name in enumerate(["w00", "w01", "w10", "w11", "b00", "b01", "b10", "b11"])}
    joins = [
        ("w00", "w01", w), ("w10", "w11", w), ("b00", "b10", b), ("b01", "b11", b),
        ("w00", "b00", g[0][0]), ("w01", "b01", g[0][1]), ("w10", "b10", g[1][0]), ("w11", "b11", g[1][1]),
    ]  # fmt: skip
    to_fixed = {"w00": d, "w10": d, "b10": e, "b11": e}
    matrix = [[Fraction(0)] * 9 for _ in range(8)]
    for one, other, siemens in joins:
        for a, c in ((one, other), (other, one)):
            matrix[at[a]][at[a]] += siemens
            matrix[at[a]][at[c]] -= siemens
    for name, siemens in to_fixed.items():
        matrix[at[name]][at[name]] += siemens
    matrix[at["w00"]][8] = d
    for k in range(8):  # Gauss and Jordan
        matrix[k] = [x / matrix[k][k] for x in matrix[k]]
        for other in range(8):
            if other != k:
                factor = matrix[other][k]
                matrix[other] = [x - factor * y for x, y in zip(matrix[other], matrix[k], strict=True)]
    expected = [float(e * matrix[at[name]][8]) for name in ("b10", "b11")]

    circuit = Wires(wordline_ohm=2, bitline_ohm=3, driver_ohm=3, sense_ohm=4)  # 2 + 3 = 1/d, 3 + 4 = 1/e
    found = Crossbar(np.array(g, float), circuit).read(np.array([[1, 0]]))
    np.testing.assert_allclose(found.column_a, [expected], rtol=1e-13)


def dense_currents(g: np.ndarray, circuit: Wires, active: np.ndarray) -> np.ndarray:
    """Column currents from Ohm's law of each branch and Kirchhoff's at each node, currents unknown too."""
    rows, columns = g.shape
    off = (active == 0) if circuit.inactive == "gated" else np.zeros(rows, bool)
    names: dict[tuple[str, int, int], int] = {}
    branches: list[tuple[object, object, float]] = []  # from, to, ohm; floats are fixed voltages
    for i in range(rows):
        for j in range(columns):
            before = ("w", i, j - 1) if j else float(active[i])
            first = circuit.driver_ohm if j == 0 else 0
            branches.append((before, ("w", i, j), circuit.wordline_ohm + first))
            if not off[i]:
                branches.append((("w", i, j), ("b", i, j), 1 / g[i, j]))
            after = ("b", i + 1, j) if i + 1 < rows else 0.0
            last = circuit.sense_ohm if i + 1 == rows else 0
            branches.append((("b", i, j), after, circuit.bitline_ohm + last))
    for one, other, _ in branches:
        for end in (one, other):
            if isinstance(end, tuple):
                names.setdefault(end, len(names))
    n, m = len(names), len(branches)
    matrix, right = np.zeros((n + m, n + m)), np.zeros(n + m)
    # v_one - v_other - ohm i = 0, and i leaves one and enters other.
    for k, (one, other, ohm) in enumerate(branches):
        matrix[n + k, n + k] = -ohm
        for end, sign in ((one, 1), (other, -1)):
            if isinstance(end, tuple):
                matrix[n + k, names[end]] += sign
                matrix[names[end], n + k] += sign
            else:
                right[n + k] -= sign * end
    solved = np.linalg.solve(matrix, right)
    ends = [k for k, (_, other, _) in enumerate(branches) if other == 0.0 and not isinstance(other, tuple)]
    return solved[n + np.array(ends)]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.5, 40.0, 3e3]), st.sampled_from([0.0, 2.5, 100.0, 2e4]),
    st.sampled_from([0.0, 500.0]), st.sampled_from([0.0, 70.0]), st.sampled_from(["grounded", "gated"]),
)  # fmt: skip
def test_exact_agrees_with_a_dense_solve_of_branch_equations(
    rows: int, columns: int, seed: int, wordline: float, bitline: float, driver: float, sense: float, inactive
) -> None:
    needs_scipy()
    g, circuit = (
        cells(seed, rows, columns),
        Wires(
            wordline_ohm=wordline, bitline_ohm=bitline, driver_ohm=driver, sense_ohm=sense, inactive=inactive
        ),
    )
    active = random_reads(seed, rows, 0.6, 3)
    found = Crossbar(g, circuit).read(active)
    for k, one in enumerate(active):
        expected = dense_currents(g, circuit, one)
        np.testing.assert_allclose(found.column_a[k], expected, rtol=1e-9, atol=1e-9 * G_OFF)
    # Nothing is lost on the way, and the power is what resistors dissipate: never below 0.
    np.testing.assert_allclose(found.row_a.sum(axis=1), found.column_a.sum(axis=1), rtol=1e-9)
    assert (found.power_w > 0).all()


def test_reads_of_grounded_rows_add_up_and_those_of_gated_rows_do_not() -> None:
    needs_scipy()
    g, active = cells(3, 12, 9), random_reads(4, 12, 0.4)
    grounded = Crossbar(g, Wires(wordline_ohm=5, bitline_ohm=5))
    together = grounded.read(active, v_read_v=0.1).column_a
    np.testing.assert_allclose(together, 0.1 * active @ grounded.transfer(), rtol=1e-12)

    gated = Crossbar(g, Wires(wordline_ohm=5, bitline_ohm=5, inactive="gated"))
    alone = gated.read(np.eye(12)).column_a
    whole = gated.read(active).column_a
    assert (whole < active @ alone).all()
    # All rows on, both kinds are the same; otherwise fewer cells draw current back.
    every = np.ones((1, 12))
    np.testing.assert_allclose(gated.read(every).column_a, grounded.read(every).column_a, rtol=1e-12)
    assert (gated.read(active).column_a.sum(1) > grounded.read(active).column_a.sum(1)).all()
    with pytest.raises(ImcsimError, match="add up"):
        gated.transfer()


def test_reciprocity_driving_columns_gives_the_transposed_crossbar() -> None:
    """Rows and columns change places, each seen from the other end, and so do their wires."""
    needs_scipy()
    g = cells(5, 7, 4)
    one = Crossbar(g, Wires(wordline_ohm=3, bitline_ohm=8, driver_ohm=20, sense_ohm=50)).transfer()
    other = Crossbar(
        g[::-1, ::-1].T, Wires(wordline_ohm=8, bitline_ohm=3, driver_ohm=50, sense_ohm=20)
    ).transfer()
    np.testing.assert_allclose(other, one[::-1, ::-1].T, rtol=1e-12)


@pytest.mark.parametrize("name", ["wordline_ohm", "bitline_ohm", "driver_ohm", "sense_ohm"])
def test_more_resistance_less_current(name: str) -> None:
    needs_scipy()
    g = cells(6, 8, 8)
    totals = [
        Crossbar(g, Wires(**{"wordline_ohm": 1, "bitline_ohm": 1, name: ohm})).read(np.ones((1,
        8))).column_a.sum() for ohm in (0, 1, 10, 100, 1000)
    ]  # fmt: skip
    assert all(a > b for a, b in pairwise(totals))


def test_without_resistance_currents_are_sums_of_conductances() -> None:
    needs_scipy()
    g, active = cells(7, 6, 5), random_reads(8, 6, 0.5)
    for inactive in ("grounded", "gated"):
        found = Crossbar(g, Wires(inactive=inactive)).read(active)
        np.testing.assert_allclose(found.column_a, active @ g, rtol=1e-15)
        np.testing.assert_allclose(found.power_w, (active @ g).sum(axis=1), rtol=1e-14)


def test_empty_cells_and_lines_that_nothing_joins() -> None:
    needs_scipy()
    g = cells(9, 4, 4)
    g[1], g[:, 2] = 0, 0
    for inactive in ("grounded", "gated"):
        circuit = Wires(wordline_ohm=2, bitline_ohm=2, inactive=inactive)
        found = Crossbar(g, circuit).read(np.array([[0, 1, 0, 0], [1, 1, 1, 1]])).column_a
        np.testing.assert_allclose(found[0], 0, atol=1e-20)
        assert abs(found[1, 2]) < 1e-20
        column = seen(g, circuit, 0.5).column
        assert not column[1].any()
        assert not column[:, 2].any()
        np.testing.assert_allclose(column[g > 0], g[g > 0], rtol=0.01)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValidationError, match=r"wordline_ohm\s+Input should be greater than or equal to 0"):
        Wires(wordline_ohm=-1)
    with pytest.raises(ValidationError, match=r"inactive\s+Input should be 'grounded' or 'gated'"):
        Wires(wordline_ohm=1, bitline_ohm=1, inactive="floating")  # type: ignore[arg-type]
    with pytest.raises(ImcsimError, match="negative or not a number"):
        seen(np.array([[np.nan]]), Wires(wordline_ohm=1))
    with pytest.raises(ImcsimError, match="density of 2 active rows"):
        seen(np.ones((2, 2)), Wires(wordline_ohm=1), 2)
    with pytest.raises(ImcsimError, match="conductances of shape"):
        seen(np.ones(2), Wires(wordline_ohm=1))


def test_exact_says_what_to_install_where_scipy_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImcsimError, match=r"needs SciPy \(pip install 'imcsim\[nonideal\]'\)"):
        Crossbar(np.ones((2, 2)), Wires(wordline_ohm=1, bitline_ohm=1))


def test_exact_says_when_a_read_does_not_fit() -> None:
    needs_scipy()
    with pytest.raises(ImcsimError, match="inputs of shape"):
        Crossbar(np.ones((2, 2)), Wires(wordline_ohm=1, bitline_ohm=1)).read(np.ones((1, 3)))
    with pytest.raises(ImcsimError, match="a crossbar of shape"):
        Crossbar(np.ones((1, 2, 2)), Wires(wordline_ohm=1, bitline_ohm=1))


# --- ladders


def test_ladders_solve_their_tridiagonal_equations() -> None:
    rng = np.random.default_rng(10)
    load, current = rng.random((6, 3)), rng.random((6, 3))
    ohm = ladders.segments(6, 0.3, 0.5)
    for line in range(3):
        siemens = 1 / np.array(ohm)
        matrix = np.diag(siemens + np.append(siemens[1:], 0) + load[:, line])
        matrix -= np.diag(siemens[1:], 1) + np.diag(siemens[1:], -1)
        inverse = np.linalg.inv(matrix)
        np.testing.assert_allclose(ladders.driven(load, ohm)[:, line], inverse[:, 0] * siemens[0])
        np.testing.assert_allclose(ladders.fed(load, ohm, current)[:, line], inverse @ current[:, line])
        np.testing.assert_allclose(ladders.impedance(load, ohm)[:, line], np.diag(inverse))


def test_without_resistance_all_stays_to_the_bit() -> None:
    g = cells(11, 5, 6)
    for inactive in ("grounded", "gated"):
        found = seen(g, Wires(inactive=inactive), 0.3)
        assert np.array_equal(found.column, g)
        assert np.array_equal(found.driver, g)


def test_single_lines_are_exact() -> None:
    """One row, one column, or one kind of wire: nothing returns over other lines."""
    needs_scipy()
    for shape, circuit in (
        ((1, 9), Wires(wordline_ohm=30, bitline_ohm=40, driver_ohm=5, sense_ohm=6)),
        ((9, 1), Wires(wordline_ohm=30, bitline_ohm=40, driver_ohm=5, sense_ohm=6)),
        ((8, 7), Wires(wordline_ohm=0, bitline_ohm=50, driver_ohm=0, sense_ohm=60)),
        ((8, 7), Wires(wordline_ohm=50, bitline_ohm=0, driver_ohm=60, sense_ohm=0)),
    ):
        g = cells(12, *shape)
        np.testing.assert_allclose(seen(g, circuit).column, Crossbar(g, circuit).transfer(), rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 20.0]), st.sampled_from([0.0, 2.5, 20.0]), st.sampled_from([0.0, 200.0]),
    st.sampled_from(["grounded", "gated"]), st.sampled_from([0.1, 0.5, 1.0]),
)  # fmt: skip
def test_ladders_find_most_of_what_wires_do(
    rows: int, columns: int, seed: int, filled: float, wordline: float, bitline: float, end: float, inactive,
    density: float,
) -> None:  # fmt: skip
    """Any crossbar, sparse ones too: right where all rows are driven, bounded, and close elsewhere."""
    needs_scipy()
    rng = np.random.default_rng(seed)
    g = cells(seed, rows, columns) * (rng.random((rows, columns)) < filled)
    circuit = Wires(
        wordline_ohm=wordline, bitline_ohm=bitline, driver_ohm=end, sense_ohm=end, inactive=inactive
    )
    crossbar, found = Crossbar(g, circuit), seen(g, circuit, density)
    assert (found.column >= 0).all()
    assert (found.column <= g * (1 + 1e-12)).all()
    scale = max(g.sum(axis=0).max(), 1e-30)

    every = np.ones((1, rows))
    exact = crossbar.read(every).column_a[0]
    np.testing.assert_allclose(seen(g, circuit, 1.0).column.sum(axis=0), exact, atol=2e-4 * scale)

    active = random_reads(seed, rows, density, 4)
    errors = active @ found.column - crossbar.read(active).column_a
    lost = active @ g - crossbar.read(active).column_a
    # A gated array of few rows seldom has the density that it is solved for.
    allowed = 0.25 if inactive == "grounded" else 0.6
    assert np.abs(errors).max() <= allowed * np.abs(lost).max() + 1e-6 * scale


@pytest.mark.parametrize("inactive", ["grounded", "gated"])
@pytest.mark.parametrize(("size", "ohm", "density"), [(32, 5.0, 0.05), (64, 1.0, 0.15), (64, 5.0, 0.5)])
def test_ladders_err_as_little_as_the_page_says(size: int, ohm: float, density: float, inactive) -> None:
    """Other cells and other reads than those of the page; twice its errors are allowed."""
    needs_scipy()
    stated = next(
        row
        for row in csv.DictReader(MEASURED.read_text(encoding="utf-8").splitlines())
        if (int(row["crossbar"]), float(row["ohm"]), float(row["density"])) == (size, ohm, density)
        and row["inactive"] == inactive
    )
    g, circuit = cells(size, size, size), Wires(wordline_ohm=ohm, bitline_ohm=ohm, inactive=inactive)
    active = random_reads(1, size, density, 16)
    exact = Crossbar(g, circuit).read(active)
    found = seen(g, circuit, density)
    mean = exact.column_a.mean()
    errors = (active @ found.column - exact.column_a) / mean
    assert np.sqrt(np.mean(errors**2)) < 2 * float(stated["error_rms"])
    assert np.abs(errors).max() < 2 * float(stated["error_max"])
    lost = 1 - exact.column_a.sum() / (active @ g).sum()
    assert lost == pytest.approx(float(stated["lost"]), rel=0.15)
    # Energy: what drivers supply.
    power = (active @ found.driver).sum(axis=1)
    assert power.sum() == pytest.approx(exact.power_w.sum(), rel=0.01)


def test_drivers_supply_more_than_columns_receive_where_inactive_rows_are_grounded() -> None:
    found = seen(cells(13, 32, 32), Wires(wordline_ohm=5, bitline_ohm=5), 0.1)
    assert (found.driver > found.column).all()
    every = seen(cells(13, 32, 32), Wires(wordline_ohm=5, bitline_ohm=5), 1.0)
    assert every.driver.sum() == pytest.approx(every.column.sum(), rel=1e-6)


def test_a_crossbar_does_not_depend_on_the_others_solved_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    g = np.stack([cells(14, 10, 8), 5 * cells(15, 10, 8), np.zeros((10, 8))])
    circuit = Wires(wordline_ohm=20, bitline_ohm=20)
    together: Seen = seen(g, circuit)
    for k in range(3):
        np.testing.assert_allclose(seen(g[k], circuit).column, together.column[k], rtol=1e-13)
    monkeypatch.setattr("imcsim.functional.nonideal.ir_drop.BATCH_CELLS", 1)
    np.testing.assert_allclose(seen(g, circuit).column, together.column, rtol=1e-13)


def test_wires_that_leave_little_are_still_solved() -> None:
    """Nine tenths of the current lost: still right where all rows are driven."""
    needs_scipy()
    g, circuit = cells(16, 48, 48), Wires(wordline_ohm=300, bitline_ohm=300)
    exact = Crossbar(g, circuit).read(np.ones((1, 48))).column_a[0]
    assert exact.sum() < 0.1 * g.sum()
    found = seen(g, circuit).column
    assert (found > 0).all()
    np.testing.assert_allclose(found.sum(axis=0), exact, rtol=1e-3)


def test_wires_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ImcsimError, match=r"nonideal\.wires: wires take nearly all of the current"):
        seen(cells(18, 64, 64), Wires(wordline_ohm=1e5, bitline_ohm=1e5))


# --- layers


@pytest.mark.parametrize("order", ["im2col", "kernel_position"])
@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize("at_once", [None, 4])
def test_each_crossbar_of_a_layer_is_solved_by_itself(order, reference: bool, at_once: int | None) -> None:
    """45 rows on crossbars of 16 rows and 8 columns: 2 slices of 7 channels, 4 channels on the first.

    Rows that are driven in turns stand on the same bitlines, and fewer of them are active together.
    """
    at = layout((3, 3), 5, 16, order, parallel=at_once)
    rng = np.random.default_rng(17)
    columns = lay_columns(2, 7, 8, 4)
    cells_of_reference = rng.uniform(1, 3, (45, 2)) if reference else None
    cells = Cells(rng.uniform(0, 15, (45, 14)), cells_of_reference, columns)
    wires = Wires(wordline_ohm=20, bitline_ohm=30, driver_ohm=100, sense_ohm=50)
    chip = DrawnChip(1, 0, 15, 8, 4, level_siemens=3e-6, wires=wires)
    rows = crossbar_rows(at, order)
    assert [len(one) for one in rows] == ([16, 16, 13] if order == "im2col" else [5] * 9)
    seen_by_columns, seen_by_drivers = through_wires(cells, rows, chip, 0.2, at_once)
    for down in rows:
        for crossbar, channels in enumerate((range(4), range(4, 7))):
            # Slices side by side: channel 0's two columns, channel 1's, ...
            across = [channel + 7 * piece for channel in channels for piece in range(2)]
            g = cells.conductance[down][:, across]
            if cells_of_reference is not None:
                g = np.column_stack([g, cells_of_reference[down][:, crossbar]])
            turns = 1 if at_once is None else -(-len(down) // at_once)
            expected = seen(g * 3e-6, wires, 0.2 / turns)
            pairs = ((seen_by_columns, expected.column), (seen_by_drivers, expected.driver))
            for found, one in pairs:
                mine = found.conductance[down][:, across]
                np.testing.assert_allclose(mine, one[:, : len(across)] / 3e-6, rtol=1e-12)
                if reference:
                    assert found.reference is not None
                    np.testing.assert_allclose(
                        found.reference[down][:, crossbar], one[:, -1] / 3e-6, rtol=1e-12
                    )


def test_layers_without_resistance_keep_their_cells() -> None:
    cells = Cells(np.ones((4, 4)), None, lay_columns(1, 4, 8, 4))
    chip = DrawnChip(1, 0, 15, 8, 4)
    assert through_wires(cells, [np.arange(4)], chip) == (cells, cells)
