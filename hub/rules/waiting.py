"""Rules that wait for conditions of others: their own readings and those conditions, in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from hub.model.quantities import CODE
from hub.model.readings import ReadingBatch
from hub.model.rules import ConditionEvent
from hub.rules.areas import Areas
from hub.rules.found import Found, Marked
from hub.rules.gathering import Gathering, Group
from hub.rules.kinds.kind import memory_at, remember_at
from hub.rules.stepping import Stepper
from hub.rules.table import Cells, RuleTable

Start = tuple[int, ConditionEvent, bool, NDArray[np.int64]]
"""(row, event, whether the first condition of its area begins or the last one ended, cells concerned)"""


RowsOf = Mapping[int, NDArray[np.intp]]
"""By code of a quantity: the rows of a batch that are of it, in their order."""


def rows_among(rows_of: RowsOf, codes: Iterable[int]) -> NDArray[np.intp]:
    """The rows of all quantities in `codes`, in their order."""
    parts = [rows_of[code] for code in codes if code in rows_of]
    if len(parts) == 1:
        return parts[0]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.intp)


class Waiting:
    """One table with triggers."""

    def __init__(self, table: RuleTable, areas: Areas, stepper: Stepper) -> None:
        self.table = table
        self.gatherings = [Gathering(trigger.area, trigger.rules, 0) for trigger in table.run.triggers]
        self._codes = {CODE[q] for q in (table.spec.quantity, *table.run.also)}
        self._areas, self._stepper = areas, stepper

    def read(
        self, batch: ReadingBatch, rows_of: RowsOf, plain: NDArray[np.bool_] | None, found: Found, marked: Marked
    ) -> None:
        """Takes `batch` (rows that are `plain`, None: all) and the conditions in `marked`; adds to both."""
        table = self.table
        rows = rows_among(rows_of, self._codes)
        if not len(rows) and not marked:
            return
        if plain is not None:
            rows = rows[plain[rows]]
        cell = table.cell_of(batch.slot[rows])
        rows, cell = rows[cell >= 0], cell[cell >= 0]
        starts, opened = self.starts((row, event) for row, _, event in sorted(marked, key=lambda m: m[:2]))
        if not len(rows) and not opened:
            return
        cells = table.read(np.unique(np.concatenate([cell.astype(np.int64), *(one for _, _, _, one in starts)])))
        done = 0
        for start in starts:
            upto = int(np.searchsorted(rows, start[0], side="right"))
            self._stretch(cells, batch, rows[done:upto], cell[done:upto], marked)
            done = upto
            self.trigger(cells, start, marked)
        self._stretch(cells, batch, rows[done:], cell[done:], marked)
        found.changes.append((table, cells))
        found.gathered += opened

    def _stretch(
        self, cells: Cells, batch: ReadingBatch, rows: NDArray[np.intp], cell: NDArray[np.int32], marked: Marked
    ) -> None:
        if len(rows):
            member = np.searchsorted(cells.cell, cell)
            self._stepper.waves(self.table, cells, batch, rows, member, None, marked)

    def starts(
        self, events: Iterable[tuple[int, ConditionEvent]]
    ) -> tuple[list[Start], list[tuple[Gathering, dict[int, Group]]]]:
        """Where, in (row, event), the first condition of an area begins or the last one ends."""
        starts: list[Start] = []
        opened: list[dict[int, Group]] = [{} for _ in self.gatherings]
        for row, event in events:
            if event.kind not in ("raised", "cleared") or event.canary:
                continue
            for gathering, groups in zip(self.gatherings, opened, strict=True):
                if event.rule.id not in gathering.rules:
                    continue
                area = int(self._areas.of(gathering.level)[event.slot])
                if area < 0:
                    continue
                group = gathering.open(area, groups)
                before = group.lasting
                group.told(event, 0)
                if group.lasting != before:
                    cell = self.table.cell_of(self._areas.slots(gathering.level, area).astype(np.int32))
                    starts.append((row, event, not before, np.sort(cell[cell >= 0]).astype(np.int64)))
        return starts, [(g, groups) for g, groups in zip(self.gatherings, opened, strict=True) if groups]

    def trigger(self, cells: Cells, start: Start, marked: Marked) -> None:
        """Tells the cells of an area that what they wait for began or ended; `cells` holds them all."""
        row, event, begins, concerned = start
        if not len(concerned):
            return
        table, at = self.table, np.searchsorted(cells.cell, concerned)
        assert table.run.triggered is not None
        assert cells.memory is not None
        memory = memory_at(cells.memory, at)
        signal = table.run.triggered(memory, begins, event.at_ms)
        remember_at(cells.memory, at, memory)
        for kind, n in self._stepper.timed_step(table, cells, at, signal, event.at_ms, table.inhibitable):
            own = self._stepper.timed_event(table, kind, cells, int(at[n]), event.at_ms, event.position)
            marked.append((row, table.order, own))
