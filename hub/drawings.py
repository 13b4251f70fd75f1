"""Drawings in the documentation that are made from the code's tables: where they stand, and how they are renewed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def redrawn(text: str, drawings: Mapping[str, str]) -> str:
    """`text` with each block between `<!-- drawn: NAME -->` and `<!-- end -->` made anew. ValueError when one is missing."""
    for name, drawing in drawings.items():
        begin, end = f"<!-- drawn: {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"no block '{begin.strip()}' … '{end.strip()}'")
        text = f"{before}{begin}{drawing}\n{end}{after}"
    return text


def redraw(drawings: Mapping[str, str]) -> None:
    """Renews the drawings of the file that the command line names."""
    file = Path(sys.argv[1])
    file.write_text(redrawn(file.read_text("utf-8"), drawings), "utf-8")
