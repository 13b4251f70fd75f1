"""Finds which of many rules over few devices a reading concerns, without asking each rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hub.model.readings import Floats
from hub.rules.table import RuleTable, Slots


class NarrowIndex:
    """Rules over one quantity, by device: costs what the rules that watch a reading's device cost, however many others there are."""

    def __init__(self, tables: Sequence[RuleTable]) -> None:
        self.tables = list(tables)
        slots = np.concatenate([table.slot for table in tables])
        numbers = np.repeat(np.arange(len(tables), dtype=np.int32), [len(table.slot) for table in tables])
        order = np.argsort(slots, kind="stable")
        self._slots, self._numbers = slots[order], numbers[order]
        always = [table.run.memory is not None for table in tables]
        self._lowest = np.array([-np.inf if a else t.run.reach[0] for a, t in zip(always, tables, strict=True)])
        self._highest = np.array([np.inf if a else t.run.reach[1] for a, t in zip(always, tables, strict=True)])
        self._always = np.array(always)

    def concerned(self, slot: Slots, value: Floats) -> Iterator[tuple[RuleTable, NDArray[np.intp]]]:
        """(rule, rows) for each rule that some row could change; rows ascending."""
        first = np.searchsorted(self._slots, slot, side="left")
        count = np.searchsorted(self._slots, slot, side="right") - first
        if not count.any():
            return
        row = np.repeat(np.arange(len(slot)), count)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        number = self._numbers[np.repeat(first, count) + nth]
        awake = self._always | np.fromiter((table.awake > 0 for table in self.tables), bool, len(self.tables))
        said = value[row]
        keep = ((said >= self._lowest[number]) & (said <= self._highest[number])) | awake[number]
        if not keep.any():
            return
        pair = number.astype(np.int64) << 32 | slot[row]
        keep |= np.isin(pair, pair[keep])  # what follows (or precedes) in the same batch counts too: it may clear
        row, number = row[keep], number[keep]
        order = np.argsort(number, kind="stable")
        row, number = row[order], number[order]
        cuts = np.flatnonzero(np.diff(number)) + 1
        for rows in np.split(np.arange(len(row)), cuts):
            yield self.tables[int(number[rows[0]])], row[rows]
