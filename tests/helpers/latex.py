"""Tables for papers, set by LaTeX."""

from __future__ import annotations

import subprocess
from pathlib import Path


def check_fits(folder: Path, table: str, layout: str) -> None:
    """LaTeX sets the table in an article of one or two columns with the packages that the table names; both
    columns of a page, or its only one, hold it.
    """
    (folder / "table.tex").write_text(table)
    (folder / "paper.tex").write_text(
        rf"\documentclass[{layout}]{{article}}{table.splitlines()[0].removeprefix('% ')}"
        "\n"
        r"\begin{document}\input{table.tex}Text.\end{document}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (folder / "paper.pdf").exists()
