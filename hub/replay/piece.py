"""A stretch of what came in once."""

from __future__ import annotations

from dataclasses import dataclass

from hub.model.readings import ReadingBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Readings in the order of their receipt. `ticked`: the source has ticks of its own, and one at `tick_ms` ends this piece
    (None: no tick here). `done` is how far the source has been read, 0 … 1; `read_s` what reading and parsing it has cost."""

    batch: ReadingBatch
    done: float
    last_ms: int
    ticked: bool = False
    tick_ms: int | None = None
    read_s: float = 0.0
