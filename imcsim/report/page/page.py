"""The page as one HTML file that needs nothing else, and the figures and data as files beside it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from imcsim.base.progress import Progress
from imcsim.report.files import csv_text
from imcsim.report.page.exhibits import FORMATS, Exhibit, render, salt
from imcsim.report.page.grids import Card, Grid, cells
from imcsim.report.page.interactive import Interactive
from imcsim.report.page.tables import FIRST, Table

LARGE = 100_000
"""Bytes of a CSV from which the page holds it compressed."""
HELD = 3_000_000
"""Letters of a compressed file up to which the page holds it; a larger one is only beside it."""
_TYPES = {
    "svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png", "csv": "text/csv;charset=utf-8",
}  # fmt: skip


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs below it (an empty line between two), and what they are about: tables that stand
    as they are, pictures, figures, a table that sorts.
    """

    name: str
    title: str
    note: str = ""
    exhibits: Sequence[Exhibit] = ()
    table: Table | None = None
    grids: Sequence[Grid] = ()
    cards: Sequence[tuple[str, Sequence[Card]]] = ()
    """Groups of pictures, each with its heading."""
    sheets: Sequence[Exhibit] = ()
    """Figures of what stands here in another form: the page has their files alone."""
    interactive: Interactive | None = None
    last: str = ""
    """Paragraphs at the end."""


@dataclass(frozen=True)
class Download:
    """A link that holds its file."""

    title: str
    file: str
    href: str
    packed: str = ""
    """Name of the data in the page that the script gives instead."""


def compose(
    title: str,
    facts: Sequence[tuple[str, str]],
    warnings: Sequence[str],
    sections: Sequence[Section],
    tell: Progress,
    *,
    many: bool = False,
) -> dict[str, bytes]:
    """A page of any sections, with its files by name: ``index.html``, ``figures/*`` and ``data/*``.

    With `many` its figures are so large that it holds them compressed. The bytes depend on the arguments
    alone.
    """
    contents: dict[str, bytes] = {}
    shown: list[dict[str, Any]] = []
    total, done = sum(len(section.exhibits) + len(section.sheets) for section in sections), 0
    for section in sections:
        drawn = []
        for exhibit in (*section.exhibits, *section.sheets):
            tell("figures", done, total)
            drawn.append(_figure(exhibit, contents, many))
            done += 1
        inside = len(section.exhibits)
        table = section.table and _table(section.table)
        shown.append(
            {"name": section.name, "title": section.title, "note": _paragraphs(section.note),
             "figures": drawn[:inside], "sheets": drawn[inside:], "table": table,
             "last": _paragraphs(section.last),
             "interactive": section.interactive and _interactive(section.interactive),
             "grids": [_grid(grid, contents) for grid in section.grids],
             "cards": [{"title": name, "cards": [_card(card, contents) for card in cards]}
                       for name, cards in section.cards]}
        )  # fmt: skip
    tell("figures", total, total)
    moved = [section.interactive for section in sections if section.interactive is not None]
    place = files("imcsim.report.page") / "static"
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["tight"] = _tight
    html = environment.from_string((place / "page.html").read_text("utf-8")).render(
        title=title,
        facts=facts,
        warnings=warnings,
        sections=[s for s in shown if any(s[part] for part in s if part not in ("name", "title"))],
        packed={name: data for name in _large(shown) if len(data := _packed(contents[name])) <= HELD},
        css=Markup("\n".join([(place / "page.css").read_text("utf-8"), *(part.css for part in moved)])),
        js=Markup("\n".join([(place / "page.js").read_text("utf-8"), *(part.js for part in moved)])),
    )
    contents["index.html"] = html.encode()
    return dict(sorted(contents.items()))


def _interactive(part: Interactive) -> dict[str, Any]:
    data = json.dumps(part.data, ensure_ascii=False, separators=(",", ":"))
    return {"name": part.name, "html": part.html, "data": _packed(data.encode())}


def _tight(text: str) -> str:
    """No line ends between a number and its per cent, or inside ``T = 4``."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text).replace("T = ", _T)


_T = "T\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"


def _paragraphs(text: str) -> list[str]:
    return [part for part in text.split("\n\n") if part]


def _grid(grid: Grid, contents: dict[str, bytes]) -> dict[str, Any]:
    path = f"data/{grid.name}.csv"
    contents[path] = csv_text(grid.data_columns, grid.data).encode()
    return {"name": grid.name, "title": grid.title, "caption": grid.caption, "columns": grid.columns,
            "wide": grid.wide, "rows": cells(grid),
            "links": [_download(path, contents[path], False)]}  # fmt: skip


def _card(card: Card, contents: dict[str, bytes]) -> dict[str, Any]:
    path = f"figures/{card.name}.png"
    contents[path] = card.png
    return {"card": card, "picture": _link(_TYPES["png"], card.png)}


def _large(sections: Sequence[dict[str, Any]]) -> list[str]:
    links = (link for section in sections for figure in section["figures"] for link in figure["links"])
    return list(dict.fromkeys(link.packed for link in links if link.packed))


def _figure(exhibit: Exhibit, contents: dict[str, bytes], many: bool) -> dict[str, Any]:
    rendered = render(exhibit)
    links = []
    for kind in FORMATS:
        data = rendered.files[kind]
        contents[f"figures/{exhibit.name}.{kind}"] = data
        links.append(_download(f"figures/{exhibit.name}.{kind}", data, many and kind == "svg"))
    held = exhibit.data or exhibit.name
    if f"data/{held}.csv" not in contents:
        contents[f"data/{held}.csv"] = csv_text(exhibit.columns, exhibit.rows).encode()
    table = contents[f"data/{held}.csv"]
    links.append(_download(f"data/{held}.csv", table, len(table) > LARGE))
    svg = Markup(rendered.inline)
    return {"name": exhibit.name, "title": exhibit.title, "caption": exhibit.caption, "svg": svg,
            "id": salt(exhibit.name), "wide": rendered.wide, "links": links}  # fmt: skip


def _download(path: str, data: bytes, pack: bool) -> Download:
    """A link that holds the file; with `pack` it leads to the file beside the page, and the page's script
    gives the one that the page holds compressed.
    """
    file = path.rsplit("/", 1)[1]
    kind = file.rsplit(".", 1)[1]
    if not pack:
        return Download(kind.upper(), file, _link(_TYPES[kind], data))
    return Download(kind.upper(), file, quote(path), packed=path)


def _packed(data: bytes) -> Markup:
    return Markup(base64.b64encode(gzip.compress(data, mtime=0)).decode())


def _link(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _table(table: Table) -> dict[str, Any]:
    data = json.dumps(table.rows, ensure_ascii=False, separators=(",", ":"))
    large = len(data) > LARGE
    for mark in "<>&\u2028\u2029":  # nothing in it may end the element that holds it
        data = data.replace(mark, f"\\u{ord(mark):04x}")
    return {"name": table.name, "columns": table.columns, "first": table.rows[:FIRST],
            "count": len(table.rows), "note": table.note, "large": large,
            "data": _packed(data.encode()) if large else Markup(data)}  # fmt: skip
