"""Strict YAML: what is read, what is refused, and where the message points."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from imcsim.base import yamlfile
from imcsim.base.errors import ImcsimError
from imcsim.base.names import nearest
from imcsim.base.yamlfile import DEEPEST, dotted, read_yaml


@pytest.fixture(params=["C parser", "Python parser"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file name; the test runs once with libyaml's parser and once with the pure one."""
    if request.param == "Python parser":
        monkeypatch.setattr(yamlfile, "_LOADER", yaml.SafeLoader)
    return tmp_path / "file.yaml"


def read(file: Path, text: str | bytes) -> Any:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_yaml(file)


def refusal(file: Path, text: str | bytes) -> ImcsimError:
    with pytest.raises(ImcsimError) as caught:
        read(file, text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("2e4", 20000.0),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("+7", 7),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("on", "on"),
        ("no", "no"),
        ("y", "y"),
        ("True", True),
        ("false", False),
        ("~", None),
        ("", None),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("'1e-3'", "1e-3"),
        ('"true"', "true"),
        ("2nd", "2nd"),
        ("e3", "e3"),
        (".", "."),
        ("<<", "<<"),
    ],
)
def test_plain_values_follow_yaml_1_2(file: Path, text: str, value: object) -> None:
    read_value = read(file, f"a: {text}\n").data["a"]
    assert read_value == value
    assert type(read_value) is type(value)


def test_lines_of_keys_and_entries(file: Path) -> None:
    document = read(file, "# comment\na: 1\nb:\n  c:\n    x: 2\n  d: [1,\n    {e: 5}]\nf:\n- 1\n- 2\n")
    assert document.data == {"a": 1, "b": {"c": {"x": 2}, "d": [1, {"e": 5}]}, "f": [1, 2]}
    assert document.line(("a",)) == 2
    assert document.line(("b",)) == 3
    assert document.line(("b", "c", "x")) == 5
    assert document.line(("b", "d")) == 6
    assert document.line(("b", "d", 1, "e")) == 7
    assert document.line(("f", 1)) == 10
    assert document.line(("nowhere",)) is None
    assert document.error(("b", "c", "missing", "too"), "x").line == 4


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "empty"),
        ("# only a comment\n", None, "empty"),
        ("---\n", None, "empty"),
        ("a: 1\nb: 2\na: 3\n", 3, "before, on line 1"),
        ("a:\n  b: 1\n  'b': 2\n", 3, "before, on line 2"),
        ("a: &x 1\nb: *x\n", 1, "anchor &x"),
        ("a: 1\nb: *x\n", 2, "alias *x"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "tag"),
        ("a: !!str 5\n", 1, "tag"),
        ("a: ! 5\n", 1, "tag"),
        ("a: 1\n4: 2\n", 2, "'4' is not text"),
        ("true: 2\n", 1, "not text"),
        ("? [a, b]\n: 2\n", 1, "key must be text"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\nb: c: d\n", 2, "column 5"),
        ("a: [1,\n", None, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: @x\n", 1, "not valid YAML"),
        ("%YAML 9.9\n---\na: 1\n", 1, "not valid YAML"),
        ("a: 1\nb: .nan\n", 2, "not a finite number"),
        ("a: -.inf\n", 1, "not a finite number"),
        ("a: 1e999\n", 1, "not a finite number"),
        ("a: " + "9" * 5000, 1, "not a finite number"),
        ("a: 1\nb: \x00\n", 2, "may not stand"),
        ("a: 1\nb: \x1b[31m\n", 2, "may not stand"),
        ('"\\e[31m": 1\n', 1, "unprintable"),
        ('a: "\\ud800"\n', 1, ""),
        ("? " + "k" * 5000 + "\n: 1\n", 1, "too long"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"\xff\xfea\x00", 1, "not UTF-8"),
    ],
)
def test_refused_with_the_line(file: Path, text: str | bytes, line: int | None, words: str) -> None:
    error = refusal(file, text)
    assert words in str(error)
    assert error.file == file
    assert error.fix
    if line is not None:
        assert error.line == line


def test_a_refusal_names_the_key_around_it(file: Path) -> None:
    assert refusal(file, "adc:\n  bits: !!int 3\n").key == "adc.bits"
    assert refusal(file, "table:\n- [1, .nan]\n").key == "table[0]"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused_early(file: Path, opening: str) -> None:
    error = refusal(file, opening * 100_000)
    assert f"more than {DEEPEST} levels" in str(error) or "key must be text" in str(error)


def test_nesting_up_to_the_limit_is_read(file: Path) -> None:
    data = read(file, "[" * DEEPEST + "]" * DEEPEST).data
    depth = 1
    while data:
        data, depth = data[0], depth + 1
    assert depth == DEEPEST
    assert "levels" in str(refusal(file, "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)))


def test_the_size_limit_is_inclusive(file: Path) -> None:
    file.write_text("a: 12345\n")
    assert read_yaml(file, max_bytes=9).data == {"a": 12345}
    with pytest.raises(ImcsimError, match="larger than 8 bytes"):
        read_yaml(file, max_bytes=8)


def test_a_byte_order_mark_is_no_part_of_the_first_key(file: Path) -> None:
    assert read(file, b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


def test_what_is_no_readable_file(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "folder"),
        (tmp_path / "a\0b", "not a file name"),
        (tmp_path / ("x" * 5000), "cannot read"),
        (tmp_path / "\ud800", ""),
    ):
        with pytest.raises(ImcsimError) as caught:
            read_yaml(path)
        assert words in str(caught.value)


def no_surrogates() -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8"), max_size=60)


@given(st.one_of(no_surrogates().map(str.encode), st.binary(max_size=60)))
def test_any_bytes_give_a_document_or_an_imcsim_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    check_outcome(tmp_path_factory, raw)


@given(st.lists(st.sampled_from([*"ab:-[]{},?!&*|>'\"#%@~ \n\t.0e1", "a: ", "\n  ", "- ", "---\n"])))
def test_any_yaml_like_text_gives_a_document_or_an_imcsim_error(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    check_outcome(tmp_path_factory, "".join(parts).encode())


def check_outcome(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    file.write_bytes(raw)
    try:
        document = read_yaml(file)
    except ImcsimError as error:
        str(error).encode()
        return
    json.dumps(document.data, allow_nan=False)
    for_all_keys(document.data, lambda key: isinstance(key, str) and key.isprintable())


def for_all_keys(data: Any, holds: Any) -> None:
    if isinstance(data, dict):
        for key, value in data.items():
            assert holds(key)
            for_all_keys(value, holds)
    elif isinstance(data, list):
        for value in data:
            for_all_keys(value, holds)


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**30), 10**30),
        st.floats(allow_nan=False, allow_infinity=False),
        # JSON leaves these characters bare inside quotes, where YAML refuses or folds them.
        st.text(st.characters(exclude_categories=["Cc", "Cf", "Cn", "Cs", "Zl", "Zp"])),
    ),
    lambda below: st.one_of(
        st.lists(below, max_size=4),
        st.dictionaries(st.text("abc_.x", max_size=5), below, max_size=4),
    ),
    max_leaves=15,
)


@given(PLAIN.filter(lambda data: data is not None))
def test_json_is_read_as_json(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    file = tmp_path_factory.getbasetemp() / "roundtrip.yaml"
    file.write_text(json.dumps(data, ensure_ascii=False))
    again = read_yaml(file).data
    assert again == data
    assert json.dumps(again) == json.dumps(data)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_every_bit(tmp_path_factory: pytest.TempPathFactory, number: float) -> None:
    file = tmp_path_factory.getbasetemp() / "float.yaml"
    file.write_text(f"a: {number!r}\n")
    again = read_yaml(file).data["a"]
    assert (again, math.copysign(1, again)) == (number, math.copysign(1, number))


def test_dotted_paths() -> None:
    assert dotted(("adc", "table", 2, 0, "x")) == "adc.table[2][0].x"
    assert dotted(()) == ""


def test_nearest_name() -> None:
    known = ["conversion_energy_pj", "bits", "area_um2"]
    assert nearest("conversion-energy_pJ", known) == "conversion_energy_pj"
    assert nearest("bit", known) == "bits"
    assert nearest("zebra", known) is None
    assert nearest("b" * 10_000, known) is None
    assert nearest("bits", []) is None
