"""Method `score`: has this device been there before? The detector that is measured on the Numenta benchmark.

Values are laid on grids whose cells are a 16th or a 32nd of the range seen so far, to the next power of two. A reading is as new as
its cell (1 / (1 + visits)), and as the step from the cell before it; likewise the mean of the last thirty. Three views, one average.
After a finding there is quiet for a while, and each finding makes the next one a little harder for some thousand readings: a
device that finds something every day finds nothing.

The idea that the novelty of a discretised context makes a cheap detector is that of contextual anomaly detectors (Smirnov 2016);
the range that forgets, the quiet and the tiredness are ours. Why these and no others: docs/anomaly.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub.model.readings import Floats
from hub.rules.kinds.detectors.detector import Bools, Detector, Setting
from hub.rules.kinds.kind import Look, Memory

SETTLING = 60
"""Readings after which a grid that was drawn anew says something."""
FORGETTING = 1e-4
"""How fast the ends of the range come in again, per reading: after some ten thousand what lay outside is forgotten."""
SMOOTHING = 1 / 30
QUIET = 30
TIRING = 0.15
RECOVERY = 1 / 5_000
_SLOW = 0.4
"""Weight of the smoothed view; the two others share the rest."""
_BIAS = 10_000
"""Added to the power of two of a cell's width, so that 0 can mean: none yet."""
_MOST = 255


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of one view in memory, its fields prefixed by `name`. Positions go round: at most `cells + 1` are in use at a time."""

    name: str
    cells: int
    shift: float
    steps: bool

    @property
    def around(self) -> int:
        return self.cells + 8

    @property
    def fields(self) -> list[tuple[object, ...]]:
        own: list[tuple[object, ...]] = [
            (f"{self.name}_low", np.float64),
            (f"{self.name}_high", np.float64),
            (f"{self.name}_power", np.int16),  # of two: how wide a cell is, plus _BIAS
            (f"{self.name}_settled", np.int16),
            (f"{self.name}_visits", np.uint8, (self.around,)),
        ]
        return own + [(f"{self.name}_steps", np.uint8, (self.around, self.around))] * self.steps

    def feed(self, memory: Memory, value: Floats, before: Floats, margin: float) -> Floats:
        """How new `value` (after `before`) is, 0..1; takes it in."""
        name, rows = self.name, np.arange(len(value))
        low, high, power = memory[f"{name}_low"], memory[f"{name}_high"], memory[f"{name}_power"].astype(np.int64)
        visits, settled = memory[f"{name}_visits"], memory[f"{name}_settled"]
        started = settled > 0
        drawn = power != 0
        width = np.ldexp(1.0, np.where(drawn, power - _BIAS, 0))
        cell = self._cell(value, width)
        outside = (cell < self._cell(low, width)) | (cell > self._cell(high, width))
        outside = np.where(drawn, outside, value != low)
        at, came = self._place(cell), self._place(self._cell(before, width))
        new = 1.0 / (1.0 + np.where(outside, 0, visits[rows, at]))
        if self.steps:
            steps = memory[f"{name}_steps"]
            new = 0.5 * new + 0.5 / (1.0 + np.where(outside, 0, steps[rows, came, at]))
        new = np.where(settled > SETTLING, new, 0.0)

        low = np.where(started, np.minimum(low + FORGETTING * (value - low), value), value)
        high = np.where(started, np.maximum(high + FORGETTING * (value - high), value), value)
        wanted = np.maximum(high - low, margin * self.cells) / self.cells
        wide = wanted > 0
        needed = np.frexp(np.where(wide, wanted, 1.0))[1].astype(np.int64) + _BIAS
        redrawn = wide & ((needed > power) | (needed < power - 2))
        again = np.flatnonzero(redrawn)
        if len(again):
            visits[again] = 0
            if self.steps:
                steps[again] = 0
            width[again] = np.ldexp(1.0, needed[again] - _BIAS)
            at[again] = self._place(self._cell(value[again], width[again]))
            came[again] = self._place(self._cell(before[again], width[again]))
            memory[f"{name}_power"][again] = needed[again]
        _count(visits, (rows, at))
        if self.steps:
            _count(steps, (rows, came, at))
        memory[f"{name}_low"], memory[f"{name}_high"] = low, high
        memory[f"{name}_settled"] = np.where(redrawn, 1, np.minimum(settled + 1, SETTLING + 1))
        return new

    def _cell(self, value: Floats, width: Floats) -> Floats:
        return np.floor(value / width + self.shift)

    def _place(self, cell: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
        return np.mod(cell, self.around).astype(np.intp)


def _count(table: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], at: tuple[object, ...]) -> None:
    before = table[at]  # type: ignore[index]
    table[at] = np.where(before < _MOST, before + 1, _MOST)  # type: ignore[index]


COARSE = Grid("coarse", 16, 0.0, steps=True)
FINE = Grid("fine", 32, 0.5, steps=True)
SLOW = Grid("slow", 32, 0.5, steps=False)


def feed(look: Look, memory: Memory, setting: Setting) -> tuple[Floats, Bools]:
    return rested(newness(look.value, memory, setting.margin), memory, setting.limit)


def newness(value: Floats, memory: Memory, margin: float) -> Floats:
    """How new each value is in the three views together, 0..1; takes it in."""
    begun = memory["slow_settled"] > 0
    before = np.where(begun, memory["last"], value)
    slow = np.where(begun, memory["smooth"] + SMOOTHING * (value - memory["smooth"]), value)
    quick = 0.5 * (COARSE.feed(memory, value, before, margin) + FINE.feed(memory, value, before, margin))
    new: Floats = (1.0 - _SLOW) * quick + _SLOW * SLOW.feed(memory, slow, slow, margin)
    memory["last"], memory["smooth"] = value, slow
    return new


def rested(new: Floats, memory: Memory, limit: float | Floats) -> tuple[Floats, Bools]:
    """What remains of it for one who found something just now, or often; and who rests."""
    tired = memory["tired"] * (1.0 - RECOVERY)
    resting = memory["rest"] > 0
    figure = np.where(resting, 0.0, new / (1.0 + TIRING * tired))
    found = figure >= limit
    memory["tired"] = tired + found
    memory["rest"] = np.where(found, QUIET, np.maximum(memory["rest"] - 1, 0))
    return figure, resting


DETECTOR = Detector(
    name="score",
    unit="",
    fields=(
        ("last", np.float64),
        ("smooth", np.float64),
        ("tired", np.float64),
        ("rest", np.int16),
        *(field for grid in (COARSE, FINE, SLOW) for field in grid.fields),
    ),
    feed=feed,
    limits={"low": 0.4, "medium": 0.25, "high": 0.15},
    warm_up_h=24.0,
)
