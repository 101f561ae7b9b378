"""The page of a sweep says what the store says; in a real browser it sorts and filters, the keyboard reaches
all of it, and it asks for nothing from outside.
"""

from __future__ import annotations

import base64
import csv
import io
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import chromium
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rough import draw_roughly
from sample_results import compare_result, run_result
from sweep_files import base, write_files, write_spec

from imcsim.base.errors import ImcsimError
from imcsim.commands.cli import main
from imcsim.report.documents import write_folder
from imcsim.report.page import page as page_module
from imcsim.report.page.exhibits import Exhibit, Rendered, render
from imcsim.report.site import build, write_report
from imcsim.report.site.breakdowns import breakdowns
from imcsim.report.site.choosing import COSTS, along, base_point, chosen, non_dominated
from imcsim.report.site.read import read
from imcsim.report.site.study import Parts, PointFigures, Study, StudyPoint
from imcsim.report.site.tables import failures_table, points_table
from imcsim.sweeps import load_spec, open_store, sweep

SPEC = base(
    name="<script>alert(1)</script> & Co",
    axes={"adc.bits": [7, 8, 99], "noc.flit_bits": [16, 32], "threshold": [0.1, 0.3]},
)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    write_files(folder)
    sweep(load_spec(write_spec(folder, SPEC)), folder / "out", workers=1).close()
    return folder / "out"


@pytest.fixture(scope="module")
def drawn() -> dict[str, Rendered]:
    """The figures as they were rendered, by name."""
    return {}


@pytest.fixture(scope="module")
def site(swept: Path, drawn: dict[str, Rendered]) -> Path:
    """The page, with a limit so low that data is held compressed too; the first figure of each kind is drawn
    in full, others roughly.
    """

    def keep(exhibit: Exhibit) -> Rendered:
        with pytest.MonkeyPatch.context() as patch:
            if exhibit.name not in in_full([*drawn, exhibit.name]):
                draw_roughly(patch)
            drawn[exhibit.name] = render(exhibit)
        return drawn[exhibit.name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "LARGE", 1500)
        patch.setattr(page_module, "render", keep)
        return write_report(swept).page


def in_full(names: Iterable[str]) -> list[str]:
    """The first of the figures of each kind."""
    return list({name.split("_")[0]: name for name in reversed([*names])}.values())


def outcome(point: int, energy: float, accuracy: float) -> PointFigures:
    return PointFigures(point, "dynamic", 4, accuracy, accuracy, accuracy, energy, 1.0, energy, 1.0, 2.0)


# --- what is shown


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=25))
def test_fronts_are_what_no_other_beats(pairs: list[tuple[int, int]]) -> None:
    runs = [outcome(k, float(e), a / 10) for k, (e, a) in enumerate(pairs)]
    wanted = {
        a.point
        for a in runs
        if not any(
            b.energy_pj <= a.energy_pj
            and b.accuracy >= a.accuracy
            and (b.energy_pj < a.energy_pj or b.accuracy > a.accuracy)
            for b in runs
        )
    }
    assert {one.point for one in non_dominated(runs, COSTS["energy"])} == wanted


def test_every_run_of_the_store_is_in_the_data(swept: Path, site: Path) -> None:
    with (site.parent / "data/pareto.csv").open(newline="") as file:
        held = {(r["point"], r["policy"], r["timesteps"]): r for r in csv.DictReader(file)}
    with open_store(swept) as store:
        rows = list(store.rows())
        areas = {row["point"]: row["area_um2"] for row in store.points()}
    assert len(held) == len(rows) > 20
    for row in rows:
        mine = held[str(row["point"]), row["policy"], str(row["timesteps"])]
        for name in ("accuracy", "energy_pj", "latency_ns", "mean_timesteps"):
            assert float(mine[name]) == row[name]
        assert float(mine["edp_pj_ns"]) == row["edp_mean_of_products"]
        assert float(mine["area_um2"]) == areas[row["point"]]


def test_breakdowns_and_exits_are_those_of_the_store(swept: Path, site: Path) -> None:
    def data(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO((site.parent / f"data/{name}.csv").read_text())))

    with open_store(swept) as store:
        rows = {(r["point"], r["policy"]): r for r in store.rows() if r["components"]}
    components = data("energy_by_component")
    assert {row["policy"] for row in components} == {"static", "dynamic"}
    for row in components:
        kept = rows[int(row["point"]), row["policy"]]
        assert float(row["energy_pj"]) == kept["components"][row["component"]]
    for row in data("energy_by_layer"):
        assert float(row["energy_pj"]) == rows[int(row["point"]), "dynamic"]["layers"][row["layer"]]
    for row in data("exits"):
        shares = rows[int(row["point"]), "dynamic"]["exit_fraction"]
        assert float(row["share_of_images"]) == shares[int(row["timestep"]) - 1]


def test_sensitivities_change_one_axis_and_start_at_the_chip_itself(swept: Path) -> None:
    study = read(swept)
    start = base_point(study)
    assert start.values["adc.bits"] == 8  # what the hardware file says; thresholds have no such value
    for axis in study.axes:
        steps = along(study, start, axis)
        assert [row for row, _ in steps] == sorted(axis.values)
        for row, point in steps:
            assert point is not None
            assert point.values == {**start.values, **dict(zip(axis.keys, row, strict=True))}
    with pytest.raises(ImcsimError, match="failed"):
        base_point(study, study.failed[0].index)
    with pytest.raises(ImcsimError, match="no point 99"):
        base_point(study, 99)


def test_chosen_points_are_the_extremes(swept: Path) -> None:
    study = read(swept)
    picked = chosen(study, base_point(study))
    for name, cost in COSTS.items():
        said = {"edp": "EDP"}.get(name, name)
        point = next(p for p, why in picked if re.search(rf"lowest [\w, ]*\b{said}\b", why.split("near")[-1]))
        assert cost(point.shown()) == min(cost(p.shown()) for p in study.done)
    assert [p.index for p, _ in chosen(study, base_point(study), [3, 0, 3])] == [3, 0]


def test_failed_points_are_listed_with_their_errors(swept: Path) -> None:
    table = failures_table(read(swept))
    assert table is not None
    assert [row[0] for row in table.rows] == ["8", "9", "10", "11"]
    assert all(row[1] == "99" and "adc.bits" in row[-1] for row in table.rows)
    rows = points_table(read(swept)).rows
    assert [row[4] for row in rows] == ["done"] * 8 + ["failed"] * 4


def test_a_sweep_of_which_all_failed_has_a_page(tmp_path: Path) -> None:
    points = tuple(StudyPoint(k, {"adc.bits": 90 + k}, "no such ADC", "") for k in range(2))
    study = Study("sweep", "lost", (), (), points, 2, {})
    from imcsim.report.site import _sections

    html = build(study, "lost", _sections(study, tmp_path, (), None, ()), lambda *_: None)[
        "index.html"
    ].decode()
    assert "no such ADC" in html


# --- the files


def sound_picture(png: Path) -> bool:
    with Image.open(png) as picture:
        white = picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        return round(picture.info["dpi"][0]) == 300 and picture.width >= 900 and white


@pytest.mark.slow
def test_all_figures_are_whole_and_the_same_bytes_each_time(swept: Path, tmp_path: Path) -> None:
    one, other = (write_report(swept, tmp_path / name).page.parent for name in ("one", "other"))
    pictures = [*one.glob("figures/*.png")]
    assert len(pictures) >= 14
    assert all(sound_picture(picture) for picture in pictures)
    for path in one.rglob("*.*"):
        assert path.read_bytes() == (other / path.relative_to(one)).read_bytes(), path


def test_the_same_store_gives_the_same_bytes(
    swept: Path, site: Path, drawn: dict[str, Rendered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With some figures that are drawn twice; others are taken as they were drawn."""
    again = [name for name in in_full(drawn) if name.split("_")[0] in ("pareto", "energy", "heat")]
    assert len(again) == 3
    monkeypatch.setattr(
        page_module, "render", lambda one: render(one) if one.name in again else drawn[one.name]
    )
    monkeypatch.setattr(page_module, "LARGE", 1500)
    write_report(swept, tmp_path / "again")
    first = {p.relative_to(site.parent): p.read_bytes() for p in site.parent.rglob("*") if p.is_file()}
    second = {
        p.relative_to(tmp_path / "again"): p.read_bytes()
        for p in (tmp_path / "again").rglob("*")
        if p.is_file()
    }
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_every_figure_is_there_as_svg_pdf_and_png_with_its_data(site: Path) -> None:
    html = site.read_text()
    names = re.findall(r'<figure id="figure-([^"]+)"', html)
    assert len(names) == len(set(names)) >= 14
    for name in names:
        assert ET.parse(site.parent / f"figures/{name}.svg").getroot().tag.endswith("svg")
        assert (site.parent / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF-")
        if name in in_full(names):
            assert sound_picture(site.parent / f"figures/{name}.png")
    for wanted in ("pareto_energy", "pareto_latency", "pareto_edp", "pareto_area", "static_dynamic", "exits",
                   "energy_by_component", "energy_by_layer", "area_by_component", "sensitivity",
                   "sensitivity_adc.bits", "sensitivity_noc.flit_bits", "sensitivity_threshold"):  # fmt: skip
        assert wanted in names
    assert sum(name.startswith("heat_") for name in names) == 3
    links = re.findall(r'<a href="data:[^,]+,([^"]+)" download="([^"]+)"', html)
    for data, file in links:
        kind = "data" if file.endswith(".csv") else "figures"
        assert base64.b64decode(data) == (site.parent / kind / file).read_bytes()
    assert {file.rsplit(".", 1)[1] for _, file in links} == {"svg", "pdf", "png", "csv"}


class Ids(HTMLParser):
    """Ids, and references to them, of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.wanted: set[str] = set()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            elif name in ("href", "xlink:href", "src") and value:
                if value.startswith("#"):
                    self.wanted.add(value[1:])
                elif not value.startswith(("data:", "figures/")):
                    self.outside.append(value)
            if value and name != "content":
                self.wanted.update(re.findall(r"url\(#([^)]+)\)", value))


def test_the_page_needs_nothing_from_outside_and_its_ids_are_its_own(site: Path) -> None:
    html = site.read_text()
    parsed = Ids()
    parsed.feed(html)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert parsed.wanted <= set(parsed.ids)
    assert [ref for ref in parsed.outside if not ref.startswith("data/")] == []
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Co" in html


def test_names_are_no_mathematics_and_no_markup() -> None:
    point = StudyPoint(0, {}, None, "", (outcome(0, 5.0, 0.5),))
    parts = Parts(layers={"$\\frac{": 2.0, "<b>&": 3.0})
    (exhibit,) = breakdowns([(point, "")], {0: parts})
    rendered = render(exhibit)
    ET.fromstring(rendered.files["svg"])
    assert "<b>" not in rendered.inline


# --- comparisons, runs, and what is wrong


@pytest.mark.usefixtures("rough_figures")
def test_a_comparison_and_a_run_have_pages(tmp_path: Path) -> None:
    write_folder(compare_result(), tmp_path / "compared")
    write_folder(run_result(), tmp_path / "ran")
    for folder, more in (("compared", ("pareto_energy", "static_dynamic")), ("ran", ())):
        wanted = (*more, "exits", "energy_by_component", "energy_by_layer")
        made = write_report(tmp_path / folder)
        html = made.page.read_text()
        assert made.points == 1
        assert all(
            f'id="figure-{name}"' in html for name in (*wanted, "energy_by_component", "energy_by_layer")
        )
    result = compare_result()
    rows = list(csv.DictReader((tmp_path / "compared/report/data/pareto.csv").read_text().splitlines()))
    dynamic = [row for row in rows if row["policy"] == "dynamic"]
    assert result.dynamic.energy_pj in {float(row["energy_pj"]) for row in dynamic}
    assert len(rows) - len(dynamic) == len(result.static)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: there is no such folder (name the folder that"),
        (["."], ".: there is no sweep and no result here (name the folder that"),
        (["OUT", "--points", "0,99"], "there is no point 99"),
        (["OUT", "--points", "8"], "failed"),
        (["OUT", "--points", "a"], "give numbers of points"),
        (["OUT", "--base", "77"], "there is no point 77"),
        (["OUT", "--heat", "adc.bits", "adc.bit"], "no axis adc.bit"),
        (["OUT", "--heat", "adc.bits", "adc.bits"], "twice"),
    ],
)
def test_what_is_wrong_is_said(
    swept: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(swept) if argument == "OUT" else argument for argument in arguments]
    assert main(["report", *given]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


# --- in a browser


@pytest.fixture(scope="module")
def driver(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def shown(driver: Any, site: Path) -> Any:
    driver.get(site.as_uri())
    wait(lambda: "rows" in driver.find_element("css selector", "[data-table=points] output").text)
    return driver


def wait(what: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def column(driver: Any, key: str) -> list[str]:
    return list(
        driver.execute_script(
            "const t = document.querySelector('[data-table=points]');"
            "const k = [...t.querySelectorAll('th')].findIndex((th) => th.dataset.key === arguments[0]);"
            "return [...t.querySelectorAll('tbody tr')].map((tr) => tr.cells[k].textContent)",
            key,
        )
    )


def test_it_renders_without_errors_and_asks_for_nothing(shown: Any) -> None:
    assert shown.get_log("browser") == []
    sizes = shown.execute_script(
        "return [...document.querySelectorAll('figure svg')].map((s) => s.getBoundingClientRect().height)"
    )
    assert len(sizes) >= 14
    assert min(sizes) > 80
    asked = shown.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in asked if not name.startswith(("data:", "file:"))] == []
    wide = shown.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0


def test_a_telephone_shows_a_page_in_its_width_and_letters_of_their_size(shown: Any) -> None:
    """Figures as wide as a page are moved sideways in their own frames, and not made tiny."""
    narrow = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    try:
        page = "const page = document.documentElement; return page.scrollWidth - page.clientWidth"
        assert shown.execute_script(page) <= 0
        drawn = shown.execute_script(
            "return [...document.querySelectorAll('figure.wide .drawn')].map("
            "(d) => [d.clientWidth, d.scrollWidth, d.querySelector('svg').getBoundingClientRect().width])"
        )
        assert len(drawn) > 5
        assert all(frame < 400 < 600 < drawing <= inside for frame, inside, drawing in drawn)
    finally:
        shown.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_click_sorts_and_a_second_turns_it_round(shown: Any) -> None:
    head = shown.find_element("css selector", "[data-table=points] th[data-key=energy]")
    before = column(shown, "energy")
    numbers = sorted(float(cell.replace(",", "")) for cell in before if cell)
    for order, wanted in (("ascending", numbers), ("descending", numbers[::-1])):
        head.find_element("css selector", "button").click()
        cells = column(shown, "energy")
        assert head.get_attribute("aria-sort") == order
        assert [float(cell.replace(",", "")) for cell in cells if cell] == wanted
        assert cells[len(wanted) :] == [""] * 4  # failed points stand last, either way
    assert len(shown.find_elements("css selector", "[data-table=points] th[aria-sort$=ending]")) == 1


@pytest.mark.parametrize(
    ("typed", "points"),
    [
        ("adc.bits=7 noc.flit_bits>16", ["2", "3"]),
        ("status:fail threshold<=0.1", ["8", "10"]),
        ("adc.bits!=99 threshold=0.3", ["1", "3", "5", "7"]),
        ("FAILED", ["8", "9", "10", "11"]),
        ("nothing-like-it", []),
    ],
)
def test_the_filter_filters(shown: Any, typed: str, points: list[str]) -> None:
    box = shown.find_element("css selector", "[data-table=points]")
    box.find_element("css selector", "input").send_keys(typed)
    wait(lambda: column(shown, "point") == points)
    assert box.find_element("css selector", "output").text == f"{len(points)} of 12 rows"


def test_the_keyboard_reaches_everything_and_the_focus_is_seen(shown: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    wanted = shown.execute_script(
        "window.all = [...document.querySelectorAll('a[href], button, input, summary, .scroll')]"
        ".filter((e) => e.checkVisibility() && !e.disabled); window.seen = new Set();"
        "document.addEventListener('focusin', (e) => window.seen.add(e.target)); return window.all.length"
    )
    body = shown.find_element("css selector", "body")
    body.send_keys(Keys.TAB)
    assert shown.switch_to.active_element.text == "Skip to the figures"
    ActionChains(shown).send_keys(Keys.TAB * (wanted + 5)).perform()
    missed = shown.execute_script(
        "return window.all.filter((e) => !window.seen.has(e)).map((e) => e.outerHTML)"
    )
    assert missed == []
    button = shown.find_element("css selector", "[data-table=points] th[data-key=latency] button")
    before = "const all = window.all; all[all.indexOf(arguments[0]) - 1].focus()"
    shown.execute_script(before, button)
    ActionChains(shown).send_keys(Keys.TAB).perform()
    assert shown.switch_to.active_element == button
    assert shown.execute_script("return document.hasFocus()")
    style = "return getComputedStyle(arguments[0]).outlineStyle"
    wait(lambda: shown.execute_script(style, button) == "solid")
    button.send_keys(Keys.ENTER)
    head = shown.find_element("css selector", "[data-table=points] th[data-key=latency]")
    assert head.get_attribute("aria-sort") == "ascending"


def test_light_and_dark_follow_the_system_and_the_switch(shown: Any) -> None:
    def paper() -> str:
        return str(shown.execute_script("return getComputedStyle(document.documentElement).backgroundColor"))

    def system(scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    white, black = "rgb(255, 255, 255)", "rgb(20, 23, 26)"
    system("light")
    assert paper() == white
    system("dark")
    assert paper() == black
    ink = "return getComputedStyle(document.querySelector('figure svg')).color"
    assert shown.execute_script(ink) == "rgb(232, 232, 230)"
    shown.find_element("css selector", "button[data-theme=light]").click()
    assert paper() == white
    system("light")
    shown.find_element("css selector", "button[data-theme=dark]").click()
    assert paper() == black
    shown.find_element("css selector", "button[data-theme=auto]").click()
    assert paper() == white


def test_it_prints(shown: Any) -> None:
    printed = base64.b64decode(shown.print_page())
    assert printed.startswith(b"%PDF-")
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden = shown.execute_script(
        "return ['.switch', 'nav', '.tools', '.links', '.skip'].every("
        "(one) => !document.querySelector(one).checkVisibility())"
    )
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert hidden


def test_downloads_are_the_files(shown: Any, site: Path, tmp_path: Path) -> None:
    shown.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    held = shown.find_element("css selector", "#figure-pareto_energy a[data-packed]")
    for link in (
        held,
        shown.find_element("css selector", "#figure-exits a[download$=pdf]"),
        shown.find_element("css selector", "[data-table=points] [data-do=csv]"),
    ):
        shown.execute_script("arguments[0].click()", link)
        time.sleep(0.3)
    names = ("pareto.csv", "exits.pdf", "points.csv")
    wait(lambda: all((tmp_path / name).is_file() for name in names))
    assert (tmp_path / "pareto.csv").read_bytes() == (site.parent / "data/pareto.csv").read_bytes()
    assert (tmp_path / "exits.pdf").read_bytes() == (site.parent / "figures/exits.pdf").read_bytes()
    rows = list(csv.reader((tmp_path / "points.csv").read_text().splitlines()))
    assert len(rows) == 13
    assert rows[0][:3] == ["point", "adc.bits", "noc.flit_bits"]
