"""A comparison at other thresholds: from the outcomes of its images it is what another run would be, and the
page's sliders show just that in a real browser.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import chromium
from sample_results import compare_result
from sweep_files import write_files

import imcsim
from imcsim.base.errors import ImcsimError
from imcsim.report.page.page import Section, compose
from imcsim.report.site.read import read
from imcsim.report.site.thresholds import threshold_slider
from imcsim.results.comparison import CompareResult
from imcsim.results.model import to_json
from imcsim.results.outcomes import ImageOutcomes

FIGURES = (
    "accuracy", "accuracy_low", "accuracy_high", "mean_timesteps", "exit_fraction", "energy_pj", "latency_ns",
    "edp_mean_of_products", "edp_product_of_means",
)  # fmt: skip
ISSUES = ("wait", "speculate")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


@cache
def compared(files: Path, **options: Any) -> CompareResult:
    found = imcsim.compare(
        files / "net", inputs=files / "test.npz", validation=files / "held.npz", workers=1, **options
    )
    assert found.outcomes is not None
    return found


def outcomes(found: CompareResult) -> ImageOutcomes:
    assert found.outcomes is not None
    return found.outcomes


def written(found: CompareResult, folder: Path) -> Path:
    (folder / "result.json").write_text(to_json(found))
    (folder / "images.json").write_text(outcomes(found).to_json())
    return folder


# --- from the outcomes of the images


@pytest.mark.parametrize("issue", ISSUES)
@pytest.mark.parametrize("each", [False, True])
def test_another_threshold_is_another_run(files: Path, issue: str, each: bool) -> None:
    found = outcomes(compared(files, issue=issue))
    given: Any
    for given in ((0.8, 0.15),) if each else (0.31, 0.77):
        other = imcsim.run(
            files / "net", inputs=files / "test.npz", validation=files / "held.npz", workers=1, issue=issue,
            threshold=given,
        )  # fmt: skip
        for name in FIGURES:
            assert getattr(found.at(given), name) == pytest.approx(getattr(other.outcome, name), rel=1e-12)


def test_static_runs_are_the_ends(files: Path) -> None:
    result = compared(files)
    found = outcomes(result)
    points = {point.timesteps: point for point in result.opponents[0].static}
    for threshold, timesteps in ((0.0, 3), (1.0, 1)):
        for name in ("accuracy", "energy_pj", "latency_ns", "edp_mean_of_products"):
            value = getattr(found.at(threshold), name)
            assert value == pytest.approx(getattr(points[timesteps], name), rel=1e-12)


def test_thresholds_that_do_not_go_with_it(files: Path) -> None:
    found = outcomes(compared(files))
    for given in ((0.1,), (0.1, 0.2, 0.3), 1.5, -0.1):
        with pytest.raises(ImcsimError, match="threshold"):
            found.at(given)


def test_they_are_read_with_their_document_and_with_no_other(files: Path, tmp_path: Path) -> None:
    first, second = compared(files), compared(files, threshold=0.2)
    folder = written(first, tmp_path)
    again = imcsim.load_result(folder)
    assert isinstance(again, CompareResult)
    assert again == first
    assert again.outcomes == first.outcomes
    assert imcsim.load_result(folder / "result.json") == first
    (folder / "result.json").write_text(to_json(second))
    stale = imcsim.load_result(folder)
    assert isinstance(stale, CompareResult)
    assert stale.outcomes is None  # those beside it are of the comparison before
    (folder / "images.json").write_text(
        (folder / "images.json").read_text().replace('"right":["', '"right":["2')
    )
    with pytest.raises(ImcsimError, match=r"images\.json"):
        imcsim.load_result(folder)


# --- in the page


def made(images: int, timesteps: int) -> CompareResult:
    """A comparison with made-up outcomes of so many images."""
    rng = np.random.default_rng(3)
    result = compare_result(images=20).model_copy()
    energy = np.cumsum(rng.normal(4e6, 1e5, (timesteps, images)), axis=0)
    result._outcomes = ImageOutcomes(
        images=images,
        timesteps=timesteps,
        scale=16384 * np.log2(10),
        registers=(1000,) * (timesteps - 1),
        words=tuple(map(tuple, rng.integers(0, 40000, (timesteps - 1, images)).tolist())),
        right=tuple("".join(map(str, row)) for row in rng.integers(0, 2, (timesteps, images)).tolist()),
        energy_pj=tuple(map(tuple, energy.tolist())),
        latency_ns=tuple((1000.5 * t,) for t in range(1, timesteps + 1)),
    )
    return result


def test_ten_thousand_images_keep_the_page_small() -> None:
    part = threshold_slider(made(10_000, 4))
    assert part is not None
    contents = compose("thresholds", [], [], [Section("thresholds", "x", interactive=part)], lambda *_: None)
    assert len(contents["index.html"]) < 1_000_000


def test_no_slider_without_outcomes_or_early_exit() -> None:
    assert threshold_slider(compare_result(images=20)) is None
    one = made(5, 1)
    assert threshold_slider(one) is None


@pytest.fixture(scope="module", params=ISSUES)
def page(
    request: pytest.FixtureRequest, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CompareResult, str]:
    folder = tmp_path_factory.mktemp("page")
    result = compared(files, issue=request.param, thresholds="each" if request.param == "wait" else "one")
    study = read(written(result, folder))
    assert study.compared is not None
    part = threshold_slider(study.compared)
    contents = compose("thresholds", [], [], [Section("thresholds", "x", interactive=part)], lambda *_: None)
    (folder / "index.html").write_bytes(contents["index.html"])
    return result, (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def driver(downloads: Path) -> Iterator[Any]:
    with chromium(downloads) as opened:
        yield opened


@pytest.fixture
def shown(driver: Any, page: tuple[CompareResult, str]) -> tuple[Any, CompareResult]:
    driver.get(page[1])
    end = time.monotonic() + 10
    while driver.find_element("css selector", ".knobs").get_attribute("hidden") is not None:
        assert time.monotonic() < end, driver.get_log("browser")
        time.sleep(0.02)
    return driver, page[0]


def values(driver: Any) -> dict[str, Any]:
    found: dict[str, Any] = driver.execute_script(
        "const of = (e) => Number(e.dataset.value); const found = {};"
        "for (const row of document.querySelectorAll('tr[data-figure]')) {"
        "  const here = row.querySelector('[data-here]'); found[row.dataset.figure] = of(here);"
        "  if ('low' in here.dataset) {"
        "    found.accuracy_low = Number(here.dataset.low);"
        "    found.accuracy_high = Number(here.dataset.high); } }"
        "found.exit_fraction = [...document.querySelectorAll('.leaves li')].map(of); return found"
    )
    return found


def the_same(driver: Any, wanted: Any) -> None:
    found = values(driver)
    for name in FIGURES:
        assert found[name] == pytest.approx(json.loads(json.dumps(getattr(wanted, name))), rel=1e-12), name


def move(driver: Any, knob: str, share: float | None = None, typed: float | None = None) -> None:
    """Move a slider to a share of its way, or type a threshold beside it, as a hand would tell the page."""
    driver.execute_script(
        "const [range, number] = document.querySelectorAll(`[data-knob='${arguments[0]}'] input`);"
        "const [moved, value] = arguments[2] === null ?"
        "  [range, Math.round(arguments[1] * Number(range.max))] : [number, arguments[2]];"
        "moved.value = String(value); moved.dispatchEvent(new Event('input', { bubbles: true }));",
        knob, share, typed,
    )  # fmt: skip


def test_it_opens_with_the_figures_of_the_document(shown: tuple[Any, CompareResult]) -> None:
    driver, result = shown
    the_same(driver, result.dynamic)
    assert driver.get_log("browser") == []
    texts = driver.execute_script(
        "return [...document.querySelectorAll('tr[data-figure]')].map((row) =>"
        " [row.cells[1].textContent, row.cells[2].textContent, row.cells[4].textContent])"
    )
    assert all(here == chosen for here, chosen, _ in texts)  # the script writes as Python does
    before = [row["change"] for row in _rows(result)]
    assert [change for *_, change in texts] == before
    boxes = [
        k.get_attribute("data-knob") for k in driver.find_elements("css selector", ".knob:not([hidden])")
    ]
    assert boxes == (["all"] if result.dynamic.thresholds is None else ["1", "2"])


def _rows(result: CompareResult) -> list[dict[str, str]]:
    part = threshold_slider(result)
    assert part is not None
    cells = [
        line.split("data-change>")[1].split("<")[0]
        for line in part.html.split("</tr>")
        if "data-change" in line
    ]
    return [{"change": cell} for cell in cells]


def test_one_slider_moves_everything(shown: tuple[Any, CompareResult]) -> None:
    driver, result = shown
    found = outcomes(result)
    box = driver.find_element("css selector", ".choices [type=checkbox]")
    if box.is_selected():
        box.click()
    for share in (0.0, 0.4, 1.0):
        move(driver, "all", share)
        text = driver.find_element("css selector", "[data-knob=all] input[type=number]").get_attribute(
            "value"
        )
        steps = sorted(
            {0, *found.registers, *(w for row in found.words for w in row if w <= round(found.scale))}
        )
        word = steps[int(share * (len(steps) - 1) + 0.5)]
        the_same(driver, found.with_registers([word] * 2))
        if word not in found.registers:
            assert float(text) == pytest.approx(min(1, word / found.scale), rel=1e-5)
    for typed in (0.0, 0.123456, 0.5, 1.0):
        move(driver, "all", typed=typed)
        the_same(driver, found.at(typed))
        changes = driver.execute_script(
            "return [...document.querySelectorAll('[data-change]')].map((one) => one.textContent)"
        )
        assert not [text for text in changes if text.startswith(("+0.0", "-0.0"))]  # zero has one form


def test_each_timestep_has_a_slider(shown: tuple[Any, CompareResult]) -> None:
    driver, result = shown
    found = outcomes(result)
    box = driver.find_element("css selector", ".choices [type=checkbox]")
    if not box.is_selected():
        box.click()
    move(driver, "1", typed=0.9)
    move(driver, "2", typed=0.2)
    the_same(driver, found.at((0.9, 0.2)))
    move(driver, "1", 0.0)
    the_same(driver, found.at((0.0, 0.2)))
    driver.find_element("css selector", "[data-do=chosen]").click()
    the_same(driver, result.dynamic)


def test_the_keyboard_moves_it(shown: tuple[Any, CompareResult]) -> None:
    from selenium.webdriver.common.keys import Keys

    driver, result = shown
    box = driver.find_element("css selector", ".choices [type=checkbox]")
    if box.is_selected():
        box.click()
    slider = driver.find_element("css selector", "[data-knob=all] input[type=range]")
    slider.send_keys(Keys.HOME)
    the_same(driver, outcomes(result).at(0.0))
    slider.send_keys(Keys.END)
    the_same(driver, outcomes(result).at(1.0))


def test_the_images_as_a_table(shown: tuple[Any, CompareResult], downloads: Path) -> None:
    driver, result = shown
    found, target = outcomes(result), downloads / "downloads" / "images.csv"
    target.unlink(missing_ok=True)
    driver.find_element("css selector", "[data-do=csv]").click()
    end = time.monotonic() + 10
    while not target.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert len(rows) == found.images
    for n in (0, 17, found.images - 1):
        assert float(rows[n]["energy_pj_2"]) == found.energy_pj[1][n]
        assert int(rows[n]["word_1"]) == found.words[0][n]
        assert rows[n]["right_3"] == found.right[2][n]
