"""Specs of sweeps: the values of axes, constraints, the points they make, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_files import base, write_files, write_spec

from imcsim.base.errors import ImcsimError
from imcsim.searches import load_search
from imcsim.sweeps import load_spec
from imcsim.sweeps.axes import BadAxis, axis_values
from imcsim.sweeps.constraints import BadConstraint, parse_constraint


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


@pytest.mark.parametrize(
    ("given_axis", "values"),
    [
        ([1, None, "x"], (1, None, "x")),
        ({"range": [4, 8, 2]}, (4, 6, 8)),
        ({"range": [4, 9, 2]}, (4, 6, 8)),
        ({"range": [0.1, 0.3, 0.1]}, (0.1, 0.2, 0.3)),
        ({"range": [8, 4, -2]}, (8, 6, 4)),
        ({"linspace": [0, 1, 5]}, (0, 0.25, 0.5, 0.75, 1)),
        ({"linspace": [4, 8, 5]}, (4, 5, 6, 7, 8)),
        ({"log": [16, 256, 5]}, (16, 32, 64, 128, 256)),
        ({"log": [0.01, 1, 3]}, (0.01, 0.1, 1)),
        ({"log": [100, 1, 3]}, (100, 10, 1)),
    ],
)
def test_axis_values(given_axis: Any, values: tuple[Any, ...]) -> None:
    found = axis_values(given_axis)
    assert found == values
    assert [type(v) for v in found] == [type(v) for v in values]


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 40), st.sampled_from(["linspace", "log"]))
def test_spaced_axes_keep_their_ends_and_spacing(first: float, last: float, count: int, kind: str) -> None:
    values = axis_values({kind: [first, last, count]})
    assert (values[0], values[-1], len(values)) == (first, last, count)
    measured = [math.log(v) if kind == "log" else v for v in values]
    step = (measured[-1] - measured[0]) / (count - 1)
    for k, value in enumerate(measured):
        assert value == pytest.approx(measured[0] + k * step, rel=1e-9, abs=1e-9 * max(map(abs, measured)))


@pytest.mark.parametrize(
    "bad",
    [[], 5, {}, {"range": [1, 2]}, {"range": [1, 2, 0]}, {"range": [1, 2, -1]}, {"log": [0, 1, 3]},
     {"linspace": [0, 1, 0]}, {"linspace": [0, 1, 2.5]}, {"log": [1, 2, True]}, {"steps": [1, 2, 3]},
     {"range": [0, 1, 1e-9]}, {"linspace": [0, 1, 10**9]}],
)  # fmt: skip
def test_bad_axes(bad: Any) -> None:
    with pytest.raises(BadAxis):
        axis_values(bad)


@settings(max_examples=60, deadline=None)
@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9))
def test_constraints_agree_with_python(a: int, b: int, c: int) -> None:
    for text in (
        "a.x + b * 2 < c and not (a.x == b)",
        "a.x % c == 0 or b // c >= 1 or -b > c",
        "a.x in [1, 2, b] and 0 < c <= 5",
        "(a.x - b) / c != 1",
    ):
        expected = eval(text.replace("a.x", "a"), {}, {"a": a, "b": b, "c": c})
        assert parse_constraint(text).holds({"a.x": a, "b": b, "c": c}) == bool(expected)


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true')", "a.b()", "[x for x in y]", "a[0]", "lambda: 1", "2 ** 9", "a :=",
     "f'{a}'", "a if b else c", "", "a < 1; b", "x" * 600, "(" * 300 + "a" + ")" * 300],
)  # fmt: skip
def test_only_simple_expressions_are_constraints(text: str) -> None:
    with pytest.raises(BadConstraint):
        parse_constraint(text)


@pytest.mark.parametrize(("text", "values"), [("a / 0 > 1", {"a": 1}), ("a * 99 > 1", {"a": "x"})])
def test_constraints_without_an_answer(text: str, values: dict[str, Any]) -> None:
    with pytest.raises(BadConstraint, match="no answer"):
        parse_constraint(text).holds(values)


def test_points_are_all_combinations_that_the_constraints_leave(files: Path) -> None:
    spec = base(
        timesteps=[1, 2],
        set={"adc.percentile": 99.5},
        axes={"adc.bits": [4, 5], "threshold": [None, 0.2]},
        zip=[{"cells.rows": [64, 128], "cells.columns": {"log": [64, 128, 2]}}],
        constraints=["adc.bits == 5 or cells.rows == 64", "lif.membrane_bits > 2", "threshold != 0.2"],
    )
    points = list(load_spec(write_spec(files, spec)).points())
    expected = [(t, b, r) for t in (1, 2) for b in (4, 5) for r in (64, 128) if b == 5 or r == 64]
    assert [(p.values["timesteps"], p.values["adc.bits"], p.values["cells.rows"]) for p in points] == expected
    assert [p.index for p in points] == list(range(len(expected)))
    for point in points:
        assert point.values["cells.columns"] == point.values["cells.rows"]
        assert point.setting.options.threshold is None
        assert point.setting.options.timesteps == point.values["timesteps"]
        assert point.setting.overrides["adc.percentile"] == 99.5
        assert Path(point.setting.model) == (files / "net").resolve()


def test_hash_of_a_spec_is_over_what_it_says(files: Path) -> None:
    def sha(text: str) -> str:
        path = files / "hashed.yaml"
        path.write_text("model: net\ninputs: test.npz\nvalidation: held.npz\n" + text)
        return load_spec(path).sha256

    one = sha("axes: {adc.bits: [4, 5], threshold: [0.1, 0.2]}\n")
    assert one == sha("# a comment\naxes:\n  adc.bits: [4, 5]\n  threshold: [0.1, 0.2]\n")
    assert one == sha("axes: {adc.bits: [4, 5], threshold: [0.1, 0.2]}\nname: other\n")
    others = {
        sha("axes: {threshold: [0.1, 0.2], adc.bits: [4, 5]}\n"),  # the points have another order
        sha("axes: {adc.bits: [4, 6], threshold: [0.1, 0.2]}\n"),
        sha("axes: {adc.bits: [4, 5], threshold: [0.1, 0.2]}\nseed: 1\n"),
    }
    assert len({one, *others}) == 4


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("axes: {adc.bitz: [4]}", 4, ["adc.bitz", "adc.bits"]),
        ("axes: {thresold: [0.1]}", 4, ["thresold", "threshold"]),
        ("axes:\n  threshold:\n    - 0.1\n    - 4", 7, ["threshold[1]", "0 to 1"]),
        ("threshold: [0.1, 4]", 4, ["threshold[1]"]),
        ("axes: {adc.bits: 5}", 4, ["no axis", "list"]),
        ("axes: {adc.bits: [5, 5]}", 4, ["twice"]),
        ("axes: {adc.bits: [5]}\nzip: [{adc.bits: [4]}]", 5, ["twice"]),
        ("set: {adc.bits: 4}\naxes: {adc.bits: [5]}", 5, ["twice"]),
        ("zip: [{adc.bits: [4, 5], cells.rows: [64]}]", 4, ["different lengths"]),
        ("constraints: ['adc.bitz > 1']", 4, ["adc.bitz"]),
        ("constraints: ['open(1)']", 4, ["not understood"]),
        ("constraints: ['adc.bits > 99']", 4, ["no point"]),
        ("axes: {issue: [wait, never]}", 4, ["issue[1]", "never"]),
        ("validation: null\naxes: {adc.bits: [4]}", 2, ["validation", "give threshold"]),
        ("axs: {}", 4, ["axs", "axes"]),
        ("timesteps: 4097", 4, ["timesteps", "1 to 4096"]),
        ("hardware: dtsnn_32n", 4, ["hardware", "did you mean", "dtsnn_32nm"]),
        ("hardware: none.yaml", 4, ["hardware", "there is no file 'none.yaml'"]),
        ("labels: none.npy", 4, ["labels", "there is no file 'none.npy'"]),
        ("axes:\n  hardware:\n    - dtsnn_32nm\n    - isaac", 7, ["axes.hardware[1]", "isaac_32nm"]),
        ("zip:\n  - labels: [null, none.npy]\n    seed: [1, 2]", 5, ["zip[0].labels[1]", "none.npy"]),
        ("set:\n  adc.percentile: 99\n  adc.bitz: 5", 6, ["set.adc.bitz", "adc.bits"]),
    ],
)
def test_errors_name_line_key_and_fix(files: Path, text: str, line: int, words: list[str]) -> None:
    path = files / "wrong.yaml"
    held = "" if text.startswith("validation") else "validation: held.npz\n"
    path.write_text(f"model: net\ninputs: test.npz\n{held}{text}\n")
    with pytest.raises(ImcsimError) as caught:
        load_spec(path)
    assert str(caught.value).startswith(f"{path}:{line}:")
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("key", ["model", "inputs", "validation"])
def test_names_of_nothing_are_told_with_their_line(files: Path, key: str) -> None:
    names = {"model": "vgg7_cifar", "inputs": "cifar10_tets", "validation": "cifar10_validatoin"}
    said = base(axes={"adc.bits": [5]}) | {key: names[key]}
    path = files / "unnamed.yaml"
    line = list(said).index(key) + 1
    for load, more in ((load_spec, {}), (load_search, {"objectives": ["edp"]})):
        with pytest.raises(ImcsimError) as caught:
            load(write_spec(files, said | more, "unnamed.yaml"))
        assert str(caught.value).startswith(f"{path}:{line}: {key}: there ")
        assert "did you mean" in str(caught.value)


def test_what_a_command_adds_is_told_without_a_line(files: Path) -> None:
    path = write_spec(files, base(axes={"adc.bits": [5]}), "added.yaml")
    with pytest.raises(ImcsimError, match=r"^override adc.bitz: unknown key"):
        load_spec(path, {"adc.bitz": 5})


def test_a_whole_section_among_the_keys_says_how_to_change_one(files: Path) -> None:
    path = write_spec(files, base(set={"adc": {"bits": 5}}, axes={"adc.bits": [5]}), "section.yaml")
    with pytest.raises(ImcsimError, match=r"to change one key, write adc\.KEY"):
        load_spec(path)


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["axes", "zip", "set", "constraints", "range", "adc.bits", "model", "seed", "x"]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    )
)
def test_no_spec_raises_anything_else(data: Any) -> None:
    try:
        spec = load_spec(data if isinstance(data, dict) else {"axes": data})
        for point, _ in zip(spec.points(), range(3), strict=False):
            assert point.setting is not None
    except ImcsimError:
        pass
