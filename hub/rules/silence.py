"""Rules about silence: signs of life in readings, wills that say offline, and time that passes without either."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub.model.quantities import BY_CODE, CODE, OWN, WANTED
from hub.model.readings import Ints, Quality, ReadingBatch
from hub.registry.snapshot import Registry
from hub.rules.condition import BREACH, CLEAR, CLEARING, NORMAL, PENDING, UNKNOWN
from hub.rules.found import Found, Marked
from hub.rules.inhibition import Inhibition
from hub.rules.stepping import Stepper
from hub.rules.table import RuleTable, leapt

_ONLINE = CODE["online"]
_SAID_TO_IT = np.isin(np.arange(len(BY_CODE)), [CODE[name] for name in (*WANTED.values(), *OWN)])
"""Quantities of commands and of the hub's own knowledge: others said them to or of the device, which may be dead."""


class Silence:
    """The tables of kind offline."""

    def __init__(
        self, tables: Sequence[RuleTable], registry: Registry, stepper: Stepper, inhibition: Inhibition
    ) -> None:
        self.tables = tables
        self._registry, self._stepper, self._inhibition = registry, stepper, inhibition
        self._hub = registry.slot_of.get("hub", -1)

    def hear(self, batch: ReadingBatch, found: Found, marked: Marked) -> None:
        """Signs of life: any live row but one that says offline. Ends silence, and begins it where a will says so."""
        online = batch.quantity == _ONLINE
        gone = online & (batch.value == 0.0)
        own = np.flatnonzero(online & (batch.slot == self._hub))
        if len(own):
            found.deaf = bool(gone[own[-1]])
        alive = ~gone & ~_SAID_TO_IT[batch.quantity] & ((batch.quality & Quality.RETAINED) == 0)
        if alive.any():
            found.heard = (batch.slot[alive], batch.received_at_ms[alive])
        any_gone = bool(gone.any())
        for table in self.tables:
            if not (any_gone or table.awake):
                continue
            cell = table.cell_of(batch.slot)
            rows = np.flatnonzero((cell >= 0) & (gone | alive))
            if not len(rows):
                continue
            unique, member = np.unique(cell[rows], return_inverse=True)
            touched = table.cells.state[unique] != NORMAL
            touched[member[gone[rows]]] = True
            keep = touched[member]
            if not keep.any():
                continue
            rows = rows[keep]
            unique, member = np.unique(cell[rows], return_inverse=True)
            cells = table.read(unique)
            signal = np.where(gone[rows], BREACH, CLEAR).astype(np.uint8)
            self._stepper.waves(table, cells, batch, rows, member, signal, marked)
            found.changes.append((table, cells))

    def tick(self, table: RuleTable, last_heard_ms: Ints, now_ms: int, position: int, found: Found) -> None:
        slots, state = table.slot, table.cells.state
        limit = np.int64(table.run.silent_ms) if table.run.silent_ms else self._registry.silence_limit_ms[slots]
        heard = leapt(last_heard_ms[slots], found.unheard_ms, now_ms)
        late = (now_ms - heard > limit) & (limit > 0) & (state == NORMAL)
        blocked = self._inhibition.of(table, slots, found)
        if blocked is not None:
            late &= ~blocked
            found.excused.append(slots[blocked].astype(np.int64))
        waiting = (state == PENDING) | (state == CLEARING) if table.awake else np.zeros(len(state), bool)
        cell = np.flatnonzero(late | waiting)
        if not len(cell):
            return
        cells = table.read(cell)
        if found.leap_ms:
            table.leap_copy(cells, found.leap_ms, now_ms)
        limits = np.broadcast_to(limit, slots.shape)[cell]
        starts = np.maximum(heard[cell] + limits, cells.start_ms + 1)
        signal = np.where(late[cell], BREACH, UNKNOWN).astype(np.uint8)
        at = np.arange(len(cell))
        stopped = False if blocked is None else blocked[cell]
        for kind, n in self._stepper.timed_step(table, cells, at, signal, now_ms, stopped):
            if kind == "raised" and late[cell[n]]:
                cells.start_ms[n] = starts[n]
                one = int(cell[n])
                if one in cells.chatters:
                    cells.chatters[one] = int(starts[n])
            found.events.append(self._stepper.timed_event(table, kind, cells, n, now_ms, position))
        found.changes.append((table, cells))
