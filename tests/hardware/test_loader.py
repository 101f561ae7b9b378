"""Hardware files into models: values, provenance, overrides, and the words of every refusal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from imcsim.base.errors import ImcsimError
from imcsim.hardware.loader import config_hash, load_config
from imcsim.hardware.quantity import Provenance, unit_of


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Sar(Strict):
    kind: Literal["sar"]
    bits: int = Field(ge=1, le=16)
    conversion_energy_pj: float = Field(gt=0)
    sar: int = 0
    """Spelt like the variant, which must not confuse the messages."""


class Flash(Strict):
    kind: Literal["flash"]
    bits: int = Field(ge=1, le=8)
    ladder_ohm: float = Field(gt=0)


class Buffer(Strict):
    read_pj_by_bytes: tuple[tuple[int, float], ...] = Field(min_length=1)
    policy: Literal["drop", "stall"]
    depth: int | Literal["infinite"] = 4


class Chip(Strict):
    name: str
    adc: Annotated[Sar | Flash, Field(discriminator="kind")]
    buffer: Buffer
    gated: bool = False
    spare: Buffer | None = None
    links: tuple[Buffer, ...] = ()

    @model_validator(mode="after")
    def _gating_needs_a_stall(self) -> Chip:
        if self.gated and self.buffer.policy != "stall":
            raise ValueError("gating needs buffer.policy: stall")
        return self


GOOD = """\
sources:
  isaac: "Shafiee et al., ISCA 2016"
name: chip
adc:
  kind: sar
  bits: {value: 4, unit: bit, mark: paper, source: isaac}
  conversion_energy_pj:
    mark: derived
    unit: pJ
    value: 1e-3
    source: isaac
    note: 16 mW for 8
buffer:
  read_pj_by_bytes: {value: [[512, 0.1], [1024, 1]], mark: est, source: isaac}
  policy: drop
"""
BITS = "bits: {value: 4, unit: bit, mark: paper, source: isaac}"


def load(tmp_path: Path, text: str, **overrides: Any) -> tuple[Chip, dict[str, Provenance], list[str]]:
    file = tmp_path / "chip.yaml"
    file.write_text(text)
    return load_config(file, Chip, overrides={key.replace("__", "."): v for key, v in overrides.items()})


def refusal(tmp_path: Path, text: str, **overrides: Any) -> ImcsimError:
    with pytest.raises(ImcsimError) as caught:
        load(tmp_path, text, **overrides)
    return caught.value


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_values_and_provenance_are_separated(tmp_path: Path) -> None:
    chip, provenance, unsourced = load(tmp_path, GOOD)
    assert chip == Chip(
        name="chip",
        adc=Sar(kind="sar", bits=4, conversion_energy_pj=0.001),
        buffer=Buffer(read_pj_by_bytes=((512, 0.1), (1024, 1.0)), policy="drop"),
    )
    citation = "Shafiee et al., ISCA 2016"
    assert provenance == {
        "adc.bits": Provenance("bit", "paper", "isaac", citation, "", 6),
        "adc.conversion_energy_pj": Provenance("pJ", "derived", "isaac", citation, "16 mW for 8", 7),
        "buffer.read_pj_by_bytes": Provenance("pJ", "est", "isaac", citation, "", 14),
        "buffer.policy": Provenance("", "unsourced", line=15),
    }
    assert unsourced == ["buffer.policy"]


def test_sections_in_a_list_are_sections(tmp_path: Path) -> None:
    links = "links:\n- policy: {value: stall, mark: est, source: isaac}\n  read_pj_by_bytes: [[1, 2]]\n"
    chip, provenance, unsourced = load(tmp_path, GOOD + links)
    assert chip.links[0].policy == "stall"
    assert provenance["links[0].policy"].line == 17
    assert unsourced == ["buffer.policy", "links[0].read_pj_by_bytes"]
    error = refusal(tmp_path, GOOD + links.replace("stall", "stahl"))
    assert (error.line, error.key) == (17, "links[0].policy")


def test_overrides_are_values_given_by_the_user(tmp_path: Path) -> None:
    chip, provenance, unsourced = load(
        tmp_path, GOOD, adc__bits=np.int64(5), buffer__policy="stall", buffer__depth="infinite"
    )
    assert (chip.adc.bits, chip.buffer.policy, chip.buffer.depth) == (5, "stall", "infinite")
    assert provenance["adc.bits"] == Provenance("bit", "given", "user")
    assert provenance["buffer.depth"] == Provenance("", "given", "user")
    assert unsourced == []


def test_an_override_may_replace_a_section(tmp_path: Path) -> None:
    chip, provenance, _ = load(tmp_path, GOOD, adc={"kind": "flash", "bits": 3, "ladder_ohm": 5})
    assert chip.adc == Flash(kind="flash", bits=3, ladder_ohm=5.0)
    assert {key for key in provenance if key.startswith("adc")} == {"adc.kind", "adc.bits", "adc.ladder_ohm"}


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ("value: 4,", "value: 40,", 6, "adc.bits: expected a whole number from 1 to 16, got 40"),
        ("value: 4,", "value: 4.0,", 6, "adc.bits: expected a whole number from 1 to 16, got 4.0"),
        ("value: 4,", "value: true,", 6, "adc.bits: expected a whole number from 1 to 16, got true"),
        ("value: 4,", "value: '4',", 6, "adc.bits: expected a whole number from 1 to 16, got the text '4'"),
        (BITS, "bits:", 6, "adc.bits: expected a whole number from 1 to 16, got nothing"),
        ("value: 1e-3", "value: 0", 7, "adc.conversion_energy_pj: expected a number above 0, got 0"),
        ("kind: sar", "kind: sra", 5, "expected 'sar' or 'flash', got the text 'sra' (did you mean 'sar'?)"),
        ("  kind: sar\n", "", 4, "adc.kind: the key is missing; expected 'sar' or 'flash'"),
        (f"  {BITS}\n", "", 4, "adc.bits: the key is missing; expected a whole number from 1 to 16"),
        ("  bits: ", "  bitz: ", 6, "adc.bitz: unknown key (did you mean 'adc.bits'?)"),
        (
            "kind: sar",
            "kind: sar\n  ladder_ohm: 1",
            6,
            "adc.ladder_ohm: unknown key (it belongs to kind flash)",
        ),
        ("kind: sar", "kind: sar\n  sar: x", 6, "adc.sar: expected a whole number, got the text 'x'"),
        (
            "policy: drop",
            "policy: dorp",
            15,
            "expected 'drop' or 'stall', got the text 'dorp' (did you mean 'drop'?)",
        ),
        (
            "drop",
            "drop\n  depth: x",
            16,
            "buffer.depth: expected a whole number or 'infinite', got the text 'x'",
        ),
        ("drop", "drop\nbits: 4", 16, "bits: unknown key (did you mean 'adc.bits'?)"),
        ("drop", "drop\nzzz: 4", 16, "zzz: unknown key (known here: name, adc, buffer, gated, spare, links)"),
        ("drop", "drop\ngated: yes", 16, "gated: expected true or false, got the text 'yes'"),
        ("drop", "drop\nspare: 3", 16, "spare: expected a section of `key: value` lines or nothing, got 3"),
        ("[1024, 1]", "[1024, x]", 14, "buffer.read_pj_by_bytes[1][1]: expected a number, got the text 'x'"),
        ("[1024, 1]", "[1024]", 14, "buffer.read_pj_by_bytes[1][1]: an entry is missing; expected a number"),
        (
            "[1024, 1]",
            "[1, 2, 3]",
            14,
            "a list of 2 entries (a whole number, a number), got a list of 3 entries",
        ),
        ("[[512, 0.1], [1024, 1]]", "[]", 14, "expected a list, not empty, each a list of 2 entries"),
        (
            BITS,
            "bits: {vaule: 4, unit: bit}",
            6,
            "got a section (write only the value, or {value: ..., unit:",
        ),
        ("drop", "drop\ngated: true", 1, "gating needs buffer.policy: stall"),
    ],
)
def test_refused_values_are_explained(tmp_path: Path, old: str, new: str, line: int, text: str) -> None:
    error = refusal(tmp_path, changed(old, new))
    assert text in str(error).splitlines()[0]
    assert error.line == line
    assert "pydantic" not in str(error)


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ("mark: est, ", "", 14, "needs 'mark'"),
        ("mark: paper, source: isaac}", "mark: paper}", 6, "needs 'source'"),
        ("value: 4, ", "", 6, "needs 'value'"),
        ("note: 16 mW", "nota: 16 mW", 12, "unknown detail 'nota' of a sourced value (did you mean 'note'?)"),
        (
            "mark: est",
            "mark: sure",
            14,
            "unknown mark 'sure' (use one of paper, code, 2nd, est, derived, given)",
        ),
        ("source: isaac}\n  conv", "source: isac}\n  conv", 6, "no source 'isac' (did you mean 'isaac'?)"),
        ("est, source: isaac", "est, source: user", 14, "source 'user' does not go with mark 'est'"),
        ("est, source: isaac", "est, source: [isaac]", 14, "expected text, got a list of one entry"),
        ("unit: pJ", "unit: nJ", 9, "the unit is 'nJ', but the name of the key says 'pJ'"),
        ("drop", "{value: drop, unit: V, mark: est, source: isaac}", 15, "the unit is 'V', but"),
        ('isaac: "Shafiee et al., ISCA 2016"', "isaac: 4", 2, "expected a citation"),
    ],
)
def test_wrong_details_are_refused(tmp_path: Path, old: str, new: str, line: int, text: str) -> None:
    error = refusal(tmp_path, changed(old, new))
    assert text in str(error)
    assert error.line == line


def test_given_by_the_user_needs_no_entry_in_sources(tmp_path: Path) -> None:
    text = changed("mark: est, source: isaac", "mark: given, source: user")
    assert load(tmp_path, text)[1]["buffer.read_pj_by_bytes"].mark == "given"


@pytest.mark.parametrize("unit", ["1", "'1'"])
def test_a_plain_number_may_have_the_unit_one(tmp_path: Path, unit: str) -> None:
    text = changed("drop", f"{{value: drop, unit: {unit}, mark: est, source: isaac}}")
    assert load(tmp_path, text)[1]["buffer.policy"].unit == ""


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("adc__bits", 50, "override adc.bits: expected a whole number from 1 to 16, got 50"),
        ("adc__bitz", 5, "override adc.bitz: unknown key (did you mean 'adc.bits'?)"),
        ("adc__copies", 5, "override adc.copies: unknown key (known here: "),
        ("adcs__bits", 5, "override adcs.bits: unknown key (did you mean 'adc'?)"),
        ("adc__bits__x", 5, "override adc.bits.x: adc.bits is a value, not a section"),
        ("adc__bits", float("nan"), "override adc.bits: nan cannot be a value"),
        ("adc__bits", object, "override adc.bits: "),
        ("adc__bits", "\ud800", "override adc.bits: "),
        ("adc", {"kind": "flash", "bits": 3}, "override adc.ladder_ohm: the key is missing"),
        ("adc____bits", 3, "is not a dotted key"),
        ("__".join(["adc"] * 3000), 3, "is not a dotted key"),
    ],
)
def test_refused_overrides_are_named(tmp_path: Path, key: str, value: Any, text: str) -> None:
    error = refusal(tmp_path, GOOD, **{key: value})
    assert text in str(error)
    assert error.line is None
    str(error).encode()


def test_an_override_that_contains_itself_is_refused(tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert "cannot be a value" in str(refusal(tmp_path, GOOD, adc__bits=loop))
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    assert "cannot be a value" in str(refusal(tmp_path, GOOD, adc__bits=deep))


def test_a_new_kind_lets_go_of_what_the_file_says_for_the_old_one_alone(tmp_path: Path) -> None:
    error = refusal(tmp_path, GOOD, adc__kind="flash")
    assert error.line == 4
    assert "adc.ladder_ohm: the key is missing" in str(error)
    for keys in (["adc__kind", "adc__ladder_ohm"], ["adc__ladder_ohm", "adc__kind"]):
        values = {"adc__kind": "flash", "adc__ladder_ohm": 5}
        chip, provenance, _ = load(tmp_path, GOOD, **{key: values[key] for key in keys})
        assert chip.adc == Flash(kind="flash", bits=4, ladder_ohm=5.0)
        assert provenance["adc.bits"].mark == "paper"
        assert "adc.conversion_energy_pj" not in provenance
    # What the user gives is never dropped, whatever its order.
    for keys in (["adc__kind", "adc__sar"], ["adc__sar", "adc__kind"]):
        values = {"adc__kind": "flash", "adc__sar": 5}
        error = refusal(tmp_path, GOOD, **{key: values[key] for key in keys})
        assert "override adc.sar: unknown key (it belongs to kind sar)" in str(error)


def test_several_problems_are_listed_unknown_keys_first(tmp_path: Path) -> None:
    error = refusal(tmp_path, "name: 3\nadc: 4\nbuffer: {depth: x}\nq: 1\n")
    lines = str(error).splitlines()
    assert [line.split(": ")[1] for line in lines[:4]] == ["q", "name", "adc", "buffer.depth"]
    assert len(lines) == 6
    assert lines[-1] == "and 1 more"
    assert lines[1].startswith(f"{tmp_path / 'chip.yaml'}:1: name: expected text, got 3")


def test_thousands_of_problems_are_refused_briefly(tmp_path: Path) -> None:
    text = "".join(f"k{i}: 1\n" for i in range(5000)) + f"links: [{'x, ' * 20_000}]\n"
    message = str(refusal(tmp_path, text))
    assert message.splitlines()[5:] == ["and many more"]
    assert len(message) < 2000


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    assert "expected `key: value` lines" in str(refusal(tmp_path, "- 1\n"))


def test_the_hash_depends_on_values_alone(tmp_path: Path) -> None:
    chip, _, _ = load(tmp_path, GOOD)
    reference = config_hash(chip)
    assert len(reference) == 64
    same = "name: chip\nbuffer: {policy: drop, read_pj_by_bytes: [[512, 0.1], [1024, 1.0]], depth: 4}\n"
    same += "adc: {conversion_energy_pj: 0.001, kind: sar, bits: 4}\n"
    assert config_hash(load(tmp_path, same)[0]) == reference
    assert config_hash(load(tmp_path, GOOD, adc__bits=5)[0]) != reference


@given(st.floats(min_value=1e-30, max_value=1e30))
@settings(deadline=None)
def test_numbers_reach_the_model_unchanged(tmp_path_factory: pytest.TempPathFactory, number: float) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = GOOD.replace("value: 1e-3", f"value: {number!r}")
    assert load(folder, text)[0].adc == Sar(kind="sar", bits=4, conversion_energy_pj=number)
    assert load(folder, GOOD, adc__conversion_energy_pj=number)[0].adc == load(folder, text)[0].adc


@pytest.mark.parametrize("number", ["1e31", "1e308", "1e-31", "5e-324"])
def test_numbers_whose_products_no_float_holds_are_refused(tmp_path: Path, number: str) -> None:
    error = refusal(tmp_path, changed("value: 1e-3", f"value: {number}"))
    assert error.line == 7
    assert "adc.conversion_energy_pj: expected 0 or a number from 1e-30 to 1e+30 in size" in str(error)
    with pytest.raises(ImcsimError, match=r"override adc\.conversion_energy_pj: expected 0 or a number"):
        load(tmp_path, GOOD, adc__conversion_energy_pj=float(number))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(st.sampled_from(["value", "mark", "source", "kind", "bits", "x"]), below, max_size=3),
    ),
    max_leaves=8,
)
KEYS = [
    "name",
    "adc",
    "adc.kind",
    "adc.bits",
    "adc.x",
    "buffer.read_pj_by_bytes",
    "spare",
    "links",
    "sources",
    "y.z",
]


@given(st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)), VALUES, max_size=3))
def test_any_override_gives_a_model_or_an_imcsim_error(
    tmp_path_factory: pytest.TempPathFactory, overrides: dict[str, Any]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(GOOD)
    try:
        chip, _, _ = load_config(file, Chip, overrides=overrides)
    except ImcsimError as error:
        str(error).encode()
    else:
        assert isinstance(chip, Chip)


@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 12),
    st.sampled_from(["", "\n", ": ", "x", "[", "{", "value", "1", " "]),
)
def test_any_damage_to_a_file_gives_a_model_or_an_imcsim_error(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, put: str
) -> None:
    try:
        chip, _, _ = load(tmp_path_factory.getbasetemp(), GOOD[:start] + put + GOOD[start + length :])
    except ImcsimError as error:
        str(error).encode()
    else:
        assert isinstance(chip, Chip)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("conversion_energy_pj", "pJ"),
        ("area_um2", "um2"),
        ("pitch_um", "um"),
        ("read_v", "V"),
        ("on_ohm", "Ohm"),
        ("word_bits", "bit"),
        ("bits", "bit"),
        ("latency_cycles", "cycle"),
        ("read_pj_by_bytes", "pJ"),
        ("wire_pj_per_bit_mm", "pJ/bit/mm"),
        ("rows", ""),
        ("v", ""),
        ("columns_per_adc", ""),
    ],
)
def test_the_name_says_the_unit(name: str, unit: str) -> None:
    assert unit_of(name) == unit


def test_importing_the_package_does_not_import_pydantic() -> None:
    code = "import sys, imcsim, imcsim.base.errors, imcsim.base.yamlfile; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
