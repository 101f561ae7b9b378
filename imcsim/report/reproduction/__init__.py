"""The page of ``imcsim reproduce``: the paper's claims beside what the simulator finds, figure by figure.

Everything it says is computed from the document; nothing is simulated and no figure stands in the text.
`write_page` is all that others need.
"""

from __future__ import annotations

from pathlib import Path

from imcsim.base.progress import Progress
from imcsim.report.files import write_contents
from imcsim.report.page.page import Section, compose
from imcsim.report.reproduction.agreement import agreement_grids, agreements
from imcsim.report.reproduction.combinations import candidates, joint_grids, joints
from imcsim.report.reproduction.curves import curves, exits
from imcsim.report.reproduction.decisions import loss_grids, losses, rule_grids, rules
from imcsim.report.reproduction.energy import energies, overheads
from imcsim.report.reproduction.growth import growth_grids, growths
from imcsim.report.reproduction.headline import headlines, runs, verdicts
from imcsim.report.reproduction.opponents import choosing_grids, equal_grids
from imcsim.report.reproduction.pictures import Pictures, section
from imcsim.report.reproduction.provenance import (
    beside_grids,
    chip_grids,
    differences,
    marks_grid,
    training_grids,
)
from imcsim.results.model import to_json
from imcsim.results.reproduction.document import Reproduction

DOCUMENT = "reproduction.json"


def write_page(
    document: Reproduction, pictures: Pictures, out: str | Path, progress: Progress | None = None
) -> Path:
    """Write ``index.html``, ``figures/``, ``data/`` and the document itself into the folder `out`, all of
    them or none; returns the page.

    pictures: uint8 ``[channels, height, width]`` of every image of ``examples``, by its index. The page needs
    no other file and no network. Same document and pictures, same bytes; `progress` hears "figures", those
    done and all. Raises ImcsimError where a file cannot be written, ValueError where a picture is missing.
    """
    folder = Path(out)
    made = {DOCUMENT: to_json(document, indent=1).encode(), **page_contents(document, pictures, progress)}
    write_contents(folder, made)
    return folder / "index.html"


def page_contents(
    document: Reproduction, pictures: Pictures, progress: Progress | None = None
) -> dict[str, bytes]:
    """The files of `write_page` by name."""
    names = " and ".join(part.title for part in document.networks)
    meta = document.meta
    facts = (
        ("test images", f"{meta.images:,}"),
        ("validation images, for all choices", f"{meta.validation_images:,}"),
        ("training runs of each network", f"{meta.seeds}"),
        ("chip", meta.hardware),
        ("inputs", meta.inputs),
        ("imcsim", meta.version),
    )
    warnings = list(dict.fromkeys(warning for part in document.networks for warning in part.warnings))
    return compose(
        f"DT-SNN reproduced: {names}", facts, warnings, _sections(document, pictures),
        progress or (lambda stage, done, total: None),
    )  # fmt: skip


def _sections(document: Reproduction, pictures: Pictures) -> list[Section]:
    return [
        Section("headline", "At a glance", verdicts(document), grids=headlines(document), last=_MARKED),
        Section("runs", "Static against dynamic", _RUNS, grids=runs(document)),
        Section("curve", "Accuracy against EDP", "", curves(document)),
        Section("exits", "When images leave", "", exits(document)),
        section(document, pictures),
        Section("growth", "Against T", _GROWTH, growths(document), grids=growth_grids(document)),
        Section("energy", "Where energy goes", _ENERGY, energies(document)),
        Section("checker", "What the checker adds", "", grids=overheads(document)),
        Section("losses", "Training loss", "", losses(document), grids=loss_grids(document)),
        Section("rules", "Exit rules", "", rules(document), grids=rule_grids(document)),
        Section("agreement", "Fixed-point checker", "", agreements(document),
                grids=agreement_grids(document)),
        Section("joint", "Choices joined", _JOINT, joints(document), grids=joint_grids(document)),
        Section("equal", "Against static networks of equal accuracy", "", grids=equal_grids(document)),
        Section("choosing", "Ways to choose thresholds", "", grids=choosing_grids(document)),
        Section("combinations", "All combinations", _COMBINATIONS, table=candidates(document)),
        Section("made", "How it was made", _made(document),
                grids=[*beside_grids(document), *chip_grids(document), *training_grids(document),
                       marks_grid(document)]),
    ]  # fmt: skip


def _made(document: Reproduction) -> str:
    return "\n\n".join((f"Made by: {document.meta.command}", *differences(document)))


_MARKED = (
    "A mark beside a figure of the paper says how sure it is: read in the paper, or derived, estimated, "
    "told by others; “How it was made” explains them and gives every source. All of the paper’s figures "
    "are from DT-SNN (DAC 2023)."
)
_RUNS = (
    "Every row includes the exit checker. The threshold was chosen on validation images alone. EDP, mean "
    "of products: mean over the images of energy × latency; product of means: mean energy × mean latency."
)
_GROWTH = (
    "The paper’s energy at T = 8 means that a part of it is spent once per image, not per timestep. That "
    "part caps what early exit can save. “What if” charges the digital peripherals once per inference, which "
    "the paper may have done: a hypothesis, and nothing that a chip does."
)
_ENERGY = "The paper splits the energy into three groups; here the same split, and every component."
_JOINT = (
    "Loss, accumulation, exit rule, one threshold or one for each timestep, issue policy and encoder may "
    "all be chosen. The best combination has the least EDP at no loss of accuracy on validation images. "
    "“Alone” changes one thing of the paper’s way; “all, but” puts one back."
)
_COMBINATIONS = (
    "Every combination on validation images, the least EDP first; “loses accuracy” where no threshold keeps "
    "the accuracy of the paper’s static run there. Left out are those whose issue policy or encoder costs no "
    "image less than another one."
)

__all__ = ["Pictures", "page_contents", "write_page"]
