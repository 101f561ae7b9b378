"""The page of `imcsim reproduce`: all sections are there, say what the document says and need nothing."""

from __future__ import annotations

import base64
import csv
import io
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rough import draw_roughly
from sample_reproduction import pictures, reproduction

from imcsim.base.errors import ImcsimError
from imcsim.report.page import page as page_module
from imcsim.report.page.exhibits import Exhibit, Rendered, render
from imcsim.report.page.grids import ENLARGED, Cell, cells, enlarged
from imcsim.report.reproduction import page_contents, write_page
from imcsim.report.reproduction.combinations import joint_grids
from imcsim.report.reproduction.decisions import rules
from imcsim.report.reproduction.headline import headlines, verdicts
from imcsim.report.reproduction.provenance import differences
from imcsim.report.reproduction.wording import chip_names, compared, shown_change, value_text
from imcsim.results.reproduction.document import NetworkPart, Reproduction
from imcsim.results.reproduction.figures import Paired

HOSTILE = "</script><b>&\"'$\\frac{"
SECTIONS = ("headline", "runs", "curve", "exits", "examples", "growth", "energy", "checker", "losses",
            "rules", "agreement", "joint", "combinations", "made")  # fmt: skip
FIGURES = ("curve", "exits", "growth", "energy", "groups", "losses", "rules", "agreement", "joint")

Drawn = dict[str, Rendered]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """The figures as they were rendered, by name."""
    return {}


@pytest.fixture(scope="module")
def site(drawn: Drawn) -> dict[str, bytes]:
    """Two networks with names that would break a page which trusts them; the second's figures are rough."""

    def keep(exhibit: Exhibit) -> Rendered:
        with pytest.MonkeyPatch.context() as patch:
            if not exhibit.name.endswith("_vgg16"):
                draw_roughly(patch)
            drawn[exhibit.name] = render(exhibit)
        return drawn[exhibit.name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "render", keep)
        return page_contents(reproduction(2, HOSTILE), pictures())


class Page(HTMLParser):
    """Ids, links, and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.wanted: set[str] = set()
        self.loads: list[str] = []
        self.tags: dict[str, int] = {}
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            elif name in ("href", "xlink:href", "src", "srcset", "poster", "action") and value:
                (self.wanted.add(value[1:]) if value.startswith("#") else self.loads.append(value))
            elif name == "aria-labelledby" and value:
                self.wanted.update(value.split())
            if value and name != "content":
                self.wanted.update(re.findall(r"url\(#([^)]+)\)", value))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(site: dict[str, bytes]) -> Page:
    return Page(site["index.html"].decode())


def part(document: Reproduction, **changed: object) -> NetworkPart:
    return document.networks[0].model_copy(update=changed)


# --- the page


def test_every_section_and_figure_is_there(site: dict[str, bytes], page: Page) -> None:
    assert [name for name in page.ids if name in SECTIONS] == list(SECTIONS)
    for key in ("vgg16", "resnet19"):
        for name in (*(f"{figure}_{key}" for figure in FIGURES), f"examples_{key}"):
            assert ET.fromstring(site[f"figures/{name}.svg"]).tag.endswith("svg")
            assert site[f"figures/{name}.pdf"].startswith(b"%PDF-")
            if key == "vgg16":
                assert sound_picture(site[f"figures/{name}.png"])
            rows = list(csv.reader(io.StringIO(site[f"data/{name}.csv"].decode())))
            assert len(rows) > 1
            assert {len(row) for row in rows} == {len(rows[0])}
            assert (f"figure-{name}" in page.ids) == (not name.startswith("examples"))


def sound_picture(png: bytes) -> bool:
    with Image.open(io.BytesIO(png)) as picture:
        return picture.width >= 900


@pytest.mark.slow
def test_figures_of_all_networks_are_whole() -> None:
    site = page_contents(reproduction(2, HOSTILE), pictures())
    for name in (f"{figure}_{key}" for figure in (*FIGURES, "examples") for key in ("vgg16", "resnet19")):
        assert len(site[f"figures/{name}.pdf"]) > 1000
        assert sound_picture(site[f"figures/{name}.png"])


def test_it_loads_nothing_and_its_ids_are_its_own(site: dict[str, bytes], page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert page.wanted <= set(page.ids)
    assert [link for link in page.loads if not link.startswith("data:")] == []
    html = site["index.html"].decode()
    assert not re.search(r"@import|<link rel=\"stylesheet|<script[^>]+src=", html)
    for data, file in re.findall(r'<a href="data:[^,]+,([^"]+)" download="([^"]+)"', html):
        folder = "data" if file.endswith(".csv") else "figures"
        assert base64.b64decode(data) == site[f"{folder}/{file}"]


def test_names_from_outside_are_text(site: dict[str, bytes], page: Page) -> None:
    assert "b" not in page.tags
    assert f"VGG-16{HOSTILE}" in page.text
    assert f"JPEG copies{HOSTILE}" in page.text
    html = site["index.html"].decode()
    rows = re.search(r'<script type="application/json" data-rows>(.*?)</script>', html, re.DOTALL)
    assert rows is not None
    assert "\\u003c/script\\u003e" in rows[1]
    assert all(re.fullmatch(r"(figures|data)/[\w.-]+|index\.html", name) for name in site)


def test_same_document_same_bytes(
    site: dict[str, bytes], drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "render", lambda exhibit: drawn[exhibit.name])
    assert page_contents(reproduction(2, HOSTILE), pictures()) == site
    twice = ("curve_vgg16", "examples_vgg16", "joint_vgg16")  # drawn once more, for a document of one network
    monkeypatch.setattr(
        page_module, "render", lambda one: render(one) if one.name in twice else drawn[one.name]
    )
    alone = page_contents(reproduction(1, HOSTILE), pictures())
    own = [name for name in alone if name != "index.html" and "vgg16" in name]
    assert len(own) > 40
    assert [name for name in own if alone[name] != site[name]] == []
    assert [name for name in alone if "resnet" in name] == []
    assert [name for name in Page(alone["index.html"].decode()).ids if name in SECTIONS] == list(SECTIONS)


def test_writing_and_what_cannot_be_written(
    tmp_path: Path, drawn: Drawn, site: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "render", lambda exhibit: drawn[exhibit.name])
    made = write_page(reproduction(2, HOSTILE), pictures(), tmp_path / "page")
    assert made.read_bytes() == site["index.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ImcsimError, match="not a folder"):
        write_page(reproduction(2, HOSTILE), pictures(), tmp_path / "file")
    with pytest.raises(ValueError, match="no picture of image 0"):
        page_contents(reproduction(1), {})


# --- what it says


def test_the_headline_has_ours_beside_the_papers(page: Page) -> None:
    document = reproduction(2)
    for network, grid in zip(document.networks, headlines(document), strict=True):
        rows = {row[0].text + row[0].below: row[1:] for row in cells(grid)}
        paper = {one.key: one for one in document.published}
        first = rows["mean timesteps"]
        dynamic = network.chips[0].comparison.dynamic
        assert [cell.text for cell in first[:2]] == [f"{dynamic.mean_timesteps:.2f}"] * 2
        assert first[2] == Cell(f"{paper[f'{network.key}.mean_timesteps'].value:g}", "paper")
        edp = rows["EDP, mean of products"]
        reduction = network.chips[1].comparison.reduction.edp_mean_of_products
        assert edp[1].text == shown_change(reduction)
        assert edp[2].text == shown_change(paper[f"{network.key}.edp"].value / 100, 0)
        cap = rows["cap: EDP if all left at T = 1"]
        assert cap[2] == Cell(shown_change(0.906), "derived")
        assert cap[0].text == shown_change(network.chips[0].cap.edp_mean_of_products)
        assert [cell.text for cell in rows[next(key for key in rows if key.startswith("aim"))][:2]] == [
            "met" if aim.met else "not met"
            for aim in network.aims
            if (aim.key, aim.way) == ("mean_timesteps", "base")
        ]


def test_an_aim_that_is_reached_is_said_to_be_and_why_one_is_not() -> None:
    document = reproduction(1)
    aims = tuple(
        aim.model_copy(update={"got": 0.99, "met": True} if aim.key == "edp" else {"no_loss": False})
        for aim in document.networks[0].aims
    )
    changed = document.model_copy(update={"networks": (part(document, aims=aims),)})
    text = {(row[0].text, row[0].below): row[1] for row in cells(headlines(changed)[0])}
    edp = next(cell for (name, _), cell in text.items() if name.startswith("aim: EDP"))
    timesteps = next(cell for (name, _), cell in text.items() if name.startswith("aim: at most"))
    assert (edp.text, edp.tone) == ("met", "good")
    assert timesteps.text == "not met"
    assert timesteps.below.endswith("too few images to rule out a loss of accuracy")
    assert "meets 1 of 2 aims" in verdicts(changed)


@pytest.mark.parametrize(
    ("difference", "low", "high", "said"),
    [
        (-0.002, -0.01, 0.004, "accuracy not distinguishable from it"),
        (-0.035, -0.083, 0.014, "too few images to rule out a loss of accuracy against it"),
        (-0.02, -0.03, -0.01, "accuracy 2.00 points lower than it"),
        (0.02, 0.01, 0.03, "accuracy 2.00 points higher than it"),
    ],
)
def test_accuracies_are_compared_by_their_interval(
    difference: float, low: float, high: float, said: str
) -> None:
    assert compared(Paired(difference=difference, low=low, high=high, gained=1, lost=2), "it") == said


def test_the_best_rule_is_told_by_validation_images_alone() -> None:
    document = reproduction(1)
    ways = document.networks[0].rules
    best = min(
        (way for way in ways if way.loss == "running"), key=lambda way: way.validation.edp_mean_of_products
    )
    flattered = tuple(  # another rule would be better on test images
        way
        if way is best
        else way.model_copy(
            update={"reduction": way.reduction.model_copy(update={"edp_mean_of_products": 0.9999})}
        )
        for way in ways
    )
    changed = document.model_copy(update={"networks": (part(document, rules=flattered),)})
    assert f"{best.rule} ({best.accumulation}), gets EDP" in rules(changed)[0].title
    same = tuple(way.model_copy(update={"validation": ways[0].validation}) for way in ways)
    equal = document.model_copy(update={"networks": (part(document, rules=same),)})
    assert "no rule beats the paper’s" in rules(equal)[0].title


def test_joined_choices_that_fail_on_test_images_are_not_praised() -> None:
    document = reproduction(1)
    network = document.networks[0]
    assert "choices joined get EDP" in joint_grids(document)[0].title
    chips = []
    for chip in network.chips:
        worse = chip.joint.best.reduction.model_copy(update={"edp_mean_of_products": 0.1})
        best = chip.joint.best.model_copy(update={"reduction": worse})
        chips.append(chip.model_copy(update={"joint": chip.joint.model_copy(update={"best": best})}))
    changed = document.model_copy(update={"networks": (part(document, chips=tuple(chips)),)})
    assert "is not on test images" in joint_grids(changed)[0].title
    rows = [row[0].text for row in cells(joint_grids(document)[0])]
    assert rows[0] == "the paper’s way"
    assert "all joined" in rows
    assert sum(row.startswith("all, but") for row in rows) == len(network.chips[1].joint.without)


def test_what_differs_from_the_paper_follows_from_the_document() -> None:
    document = reproduction(1)
    said = " ".join(differences(document))
    assert "with 0.25 of the paper’s channels" in said
    narrow, full = document.networks[0].chips
    chips = (narrow.model_copy(update={"channels": (0.75, 0.5)}), full)
    mixed = document.model_copy(update={"networks": (part(document, chips=chips),)})
    assert "with 0.5 to 0.75 (by layer) of the paper’s channels" in " ".join(differences(mixed))
    assert chip_names(mixed.networks[0]) == ["½ to ¾ width", "full width*"]
    assert "one seed" in said
    full = document.networks[0].chips[1].model_copy(update={"own_spikes": True, "width": "narrow"})
    meta = document.meta.model_copy(update={"seeds": 3})
    said = " ".join(
        differences(document.model_copy(update={"meta": meta, "networks": (part(document, chips=(full,)),)}))
    )
    assert "channels" not in said
    assert "3 seeds" in said


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(4.9, "x", "4.9×"), (45, "%", "45 %"), (2e-5, "", "2.0 × 10⁻⁵"), (1.46, "", "1.46"), (0, "", "0")],
)
def test_figures_are_written_as_one_reads_them(value: float, unit: str, said: str) -> None:
    assert value_text(value, unit).replace("\N{NO-BREAK SPACE}", " ") == said


def test_pictures_are_enlarged_without_blur(site: dict[str, bytes]) -> None:
    pixels = pictures()[0]
    for shown in (pixels, pixels[:1]):
        with Image.open(io.BytesIO(enlarged(shown))) as opened:
            back = np.asarray(opened)
        small = back[::ENLARGED, ::ENLARGED]
        wanted = shown[0] if len(shown) == 1 else np.moveaxis(shown, 0, -1)
        assert np.array_equal(small, wanted)
        assert np.array_equal(np.repeat(np.repeat(small, ENLARGED, 0), ENLARGED, 1), back)
    assert site["figures/example_vgg16_0.png"] == enlarged(pixels)
    with pytest.raises(ValueError, match="no picture"):
        enlarged(np.zeros((2, 4, 4), np.uint8))
