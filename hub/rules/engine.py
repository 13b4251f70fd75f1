"""The rules engine: evaluate → (the desk records) → commit. Evaluating remembers nothing, so a retry is harmless.

Time is the journal's: readings carry their receive time, and `tick` stands for the passing of it. The same events come out
wherever a batch is cut, because each device takes one step per reading (waves), in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hub.model.quantities import BY_CODE, CODE
from hub.model.readings import Ints, Quality, ReadingBatch
from hub.model.rules import ConditionEvent, EventKind
from hub.registry.snapshot import Registry
from hub.rules.condition import ACTIVE, BREACH, CLEARING, NORMAL, PENDING, UNKNOWN
from hub.rules.ruleset import RuleSet
from hub.rules.table import Bytes, Cells, RuleTable, Slots

_ONLINE = CODE["online"]
_NOT_FOR_RULES = int(Quality.DUPLICATE | Quality.HISTORY | Quality.IMPLAUSIBLE)
_MAY_RAISE_LATE = np.array([bool(q.alarm) for q in BY_CODE])
_PLAIN, _RAISE_ONLY, _SKIP, _TEST = range(4)
_AWAY_MS = 60_000
"""Ticks come each second. A longer gap between two, or time that runs backwards, is no time that passed for the devices:
the hub was not there, or its clock was set. Silence and delays are counted without it."""


@dataclass(slots=True)
class Found:
    """What a batch or tick means: events in order, and the state to remember once they are recorded."""

    events: list[ConditionEvent] = field(default_factory=list)
    changes: list[tuple[RuleTable, NDArray[np.intp], Cells]] = field(default_factory=list)
    heard: tuple[Slots, Ints] | None = None
    tick_ms: int | None = None
    leap_ms: int = 0  # by how much time leapt before `tick_ms`
    unheard_ms: int = 0  # how much of the time before `tick_ms` is no silence of the devices
    deaf: bool | None = None  # whether the hub hears its broker, if that changed


class Engine:
    """All rules over all devices. One owner thread."""

    def __init__(self, ruleset: RuleSet, registry: Registry, *, start_ms: int) -> None:
        self.start_ms = start_ms
        self._build(ruleset, registry)
        self.last_heard_ms = np.full(len(registry), start_ms, np.int64)
        self.last_tick_ms = start_ms
        self.deaf = False  # the hub does not hear its broker: nobody's silence counts

    def _build(self, ruleset: RuleSet, registry: Registry) -> None:
        self.ruleset, self.registry = ruleset, registry
        self._hub = registry.slot_of.get("hub", -1)
        members = {
            code: np.flatnonzero((registry.kind == code) & registry.active).astype(np.int32)
            for code in range(len(registry.kinds))
        }
        rank = np.zeros(len(registry), np.int32)
        for slots in members.values():
            rank[slots] = np.arange(len(slots), dtype=np.int32)
        enabled = [rule for rule in ruleset.rules if rule.spec.enabled]
        self.tables = [RuleTable(n, rule, registry, rank, members) for n, rule in enumerate(enabled)]
        self._by_quantity: dict[int, list[RuleTable]] = {}
        for table in self.tables:
            if table.run.driven_by == "values":
                self._by_quantity.setdefault(CODE[table.spec.quantity], []).append(table)
        self._timed = [t for t in self.tables if t.run.driven_by == "values" and (t.run.hold_ms or t.run.clear_hold_ms)]
        self._silence = [t for t in self.tables if t.run.driven_by == "silence"]

    # -- evaluate -----------------------------------------------------------------------------------------------------

    def evaluate(self, batch: ReadingBatch) -> Found:
        """What `batch` means under the current state. Remembers nothing; `commit` does."""
        found = Found()
        if not len(batch):
            return found
        marked: list[tuple[int, int, ConditionEvent]] = []  # (row, rule order, event)
        roles = self._roles(batch)
        by_quantity = np.argsort(batch.quantity, kind="stable")
        sorted_quantity = batch.quantity[by_quantity]
        cuts = np.flatnonzero(sorted_quantity[1:] != sorted_quantity[:-1]) + 1
        for rows in np.split(by_quantity, cuts):
            tables = self._by_quantity.get(int(batch.quantity[rows[0]]))
            if tables is None:
                continue
            values = batch.value[rows]
            for table in tables:
                assert table.run.breach is not None
                breach = table.run.breach(values)
                if table.awake or breach.any():
                    self._waves(table, batch, rows, breach, roles, found, marked)
        self._hear(batch, found, marked)
        marked.sort(key=lambda m: (m[0], m[1]))
        found.events = [event for _, _, event in marked]
        return found

    def _roles(self, batch: ReadingBatch) -> Bytes | None:
        """How each row may act on rules, or None when all are plain."""
        quality = batch.quality
        if not quality.any():
            return None
        roles = np.zeros(len(batch), np.uint8)
        late = (quality & Quality.LATE) != 0
        roles[late] = np.where(_MAY_RAISE_LATE[batch.quantity[late]], _RAISE_ONLY, _SKIP)
        roles[((quality & Quality.TEST) != 0) & ~self.registry.canary[batch.slot]] = _TEST
        roles[(quality & _NOT_FOR_RULES) != 0] = _SKIP
        return roles

    def _waves(
        self,
        table: RuleTable,
        batch: ReadingBatch,
        rows: NDArray[np.intp],
        breach: NDArray[np.bool_],
        roles: Bytes | None,
        found: Found,
        marked: list[tuple[int, int, ConditionEvent]],
    ) -> None:
        cell = table.cell_of(batch.slot[rows])
        watched = cell >= 0
        if not watched.all():
            rows, cell, breach = rows[watched], cell[watched], breach[watched]
            if not len(rows):
                return
        unique, member = np.unique(cell, return_inverse=True)
        cells = table.read(unique)
        touched = cells.state != NORMAL
        touched[member[breach]] = True
        keep = touched[member]
        if not keep.any():
            return
        rows, member = rows[keep], member[keep]
        assert table.run.signals is not None
        signal = table.run.signals(batch.value[rows])
        if roles is not None:
            role = roles[rows]
            for n in np.flatnonzero((role == _TEST) & (signal == BREACH)):
                marked.append((int(rows[n]), table.order, self._event(table, "test", batch, int(rows[n]), 0)))
            signal[(role == _RAISE_ONLY) & (signal != BREACH)] = UNKNOWN
            signal[role >= _SKIP] = UNKNOWN
        for wave in _waves_of(member):
            at = member[wave]
            before, after = table.step(cells, at, signal[wave], batch.received_at_ms[rows[wave]])
            self._mark(table, batch, rows[wave], before, after, cells.start_ms[at], marked)
        changed = np.flatnonzero(touched)
        found.changes.append(
            (
                table,
                unique[changed].astype(np.intp),
                Cells(cells.state[changed], cells.since_ms[changed], cells.start_ms[changed], cells.count[changed]),
            )
        )

    def _mark(
        self,
        table: RuleTable,
        batch: ReadingBatch,
        rows: NDArray[np.intp],
        before: Bytes,
        after: Bytes,
        start_ms: Ints,
        marked: list[tuple[int, int, ConditionEvent]],
    ) -> None:
        raised = (before <= PENDING) & (after == ACTIVE)
        cleared = (before >= ACTIVE) & (after == NORMAL)
        for kind, which in (("raised", raised), ("cleared", cleared)):
            for n in np.flatnonzero(which):
                row = int(rows[n])
                marked.append((row, table.order, self._event(table, kind, batch, row, int(start_ms[n]))))  # type: ignore[arg-type]

    def _event(self, table: RuleTable, kind: EventKind, batch: ReadingBatch, row: int, start_ms: int) -> ConditionEvent:
        slot = int(batch.slot[row])
        return ConditionEvent(
            kind=kind,
            rule=table.spec,
            slot=slot,
            device=self.registry.ids[slot],
            at_ms=int(batch.received_at_ms[row]),
            observed_at_ms=int(batch.observed_at_ms[row]),
            episode_start_ms=start_ms or int(batch.received_at_ms[row]),
            position=int(batch.position[row]),
            value=batch.spoken(row),
            quantity=BY_CODE[int(batch.quantity[row])].name,
            threshold=table.run.threshold,
            received_at_ms=int(batch.received_at_ms[row]),
            canary=bool(self.registry.canary[slot]),
        )

    # -- silence ------------------------------------------------------------------------------------------------------

    def _hear(self, batch: ReadingBatch, found: Found, marked: list[tuple[int, int, ConditionEvent]]) -> None:
        """Signs of life: any live row but one that says offline. Ends silence, and begins it where a will says so."""
        online = batch.quantity == _ONLINE
        gone = online & (batch.value == 0.0)
        own = np.flatnonzero(online & (batch.slot == self._hub))
        if len(own):
            found.deaf = bool(gone[own[-1]])
        alive = ~gone & ((batch.quality & Quality.RETAINED) == 0)
        if alive.any():
            found.heard = (batch.slot[alive], batch.received_at_ms[alive])
        any_gone = bool(gone.any())
        for table in self._silence:
            if not (any_gone or table.awake):
                continue
            cell = table.cell_of(batch.slot)
            watched = cell >= 0
            interesting = watched & gone
            if table.awake:
                asleep = np.zeros(len(batch), bool)
                asleep[watched] = table.cells.state[cell[watched]] == ACTIVE
                interesting |= asleep & alive
                # a device that goes and comes back within the batch
            if any_gone:
                interesting |= watched & alive & np.isin(batch.slot, batch.slot[gone])
            self._come_and_go(table, batch, np.flatnonzero(interesting), cell, gone, found, marked)

    def _come_and_go(
        self,
        table: RuleTable,
        batch: ReadingBatch,
        rows: NDArray[np.intp],
        cell: NDArray[np.int32],
        gone: NDArray[np.bool_],
        found: Found,
        marked: list[tuple[int, int, ConditionEvent]],
    ) -> None:
        if not len(rows):
            return
        unique, member = np.unique(cell[rows], return_inverse=True)
        cells = table.read(unique)
        for row, at in zip(rows.tolist(), member.tolist(), strict=True):
            if gone[row] and cells.state[at] == NORMAL:
                cells.state[at] = ACTIVE
                cells.start_ms[at] = max(int(batch.received_at_ms[row]), int(cells.start_ms[at]) + 1)
                marked.append((row, table.order, self._event(table, "raised", batch, row, int(cells.start_ms[at]))))
            elif not gone[row] and cells.state[at] == ACTIVE:
                cells.state[at] = NORMAL
                marked.append((row, table.order, self._event(table, "cleared", batch, row, int(cells.start_ms[at]))))
        found.changes.append((table, unique.astype(np.intp), cells))

    # -- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, position: int) -> Found:
        """What the passing of time up to `now_ms` means: delays that are over, devices silent for too long."""
        gap_ms = now_ms - self.last_tick_ms
        leap_ms = 0 if 0 <= gap_ms <= _AWAY_MS else gap_ms
        found = Found(tick_ms=now_ms, leap_ms=leap_ms, unheard_ms=gap_ms if self.deaf else leap_ms)
        for table in self.tables:
            if table.run.driven_by == "silence":
                self._silent(table, now_ms, position, found)
            elif table.awake and (table.run.hold_ms or table.run.clear_hold_ms):
                self._delays(table, now_ms, position, found)
        return found

    def _delays(self, table: RuleTable, now_ms: int, position: int, found: Found) -> None:
        waiting = np.flatnonzero((table.cells.state == PENDING) | (table.cells.state == CLEARING))
        if not len(waiting):
            return
        cells = table.read(waiting)
        cells.since_ms = _leapt(cells.since_ms, found.leap_ms, now_ms)
        at = np.arange(len(waiting))
        before, after = table.step(
            cells, at, np.full(len(waiting), UNKNOWN, np.uint8), np.full(len(waiting), now_ms, np.int64)
        )
        moved = np.flatnonzero(before != after)
        if not len(moved):
            return
        for n in moved.tolist():
            kind: EventKind = "raised" if after[n] == ACTIVE else "cleared"
            slot = int(table.slot[waiting[n]])
            found.events.append(self._timed_event(table, kind, slot, now_ms, position, int(cells.start_ms[n])))
        found.changes.append(
            (
                table,
                waiting[moved],
                Cells(cells.state[moved], cells.since_ms[moved], cells.start_ms[moved], cells.count[moved]),
            )
        )

    def _silent(self, table: RuleTable, now_ms: int, position: int, found: Found) -> None:
        slots = table.slot
        limit = np.int64(table.run.silent_ms) if table.run.silent_ms else self.registry.silence_limit_ms[slots]
        heard = _leapt(self.last_heard_ms[slots], found.unheard_ms, now_ms)
        late = np.flatnonzero((now_ms - heard > limit) & (limit > 0) & (table.cells.state == NORMAL))
        if not len(late):
            return
        cells = table.read(late)
        limits = np.broadcast_to(limit, slots.shape)[late]
        cells.state[:] = ACTIVE
        cells.start_ms[:] = np.maximum(heard[late] + limits, cells.start_ms + 1)
        for n, cell in enumerate(late.tolist()):
            found.events.append(
                self._timed_event(table, "raised", int(slots[cell]), now_ms, position, int(cells.start_ms[n]))
            )
        found.changes.append((table, late, cells))

    def _timed_event(
        self, table: RuleTable, kind: EventKind, slot: int, now_ms: int, position: int, start_ms: int
    ) -> ConditionEvent:
        return ConditionEvent(
            kind=kind,
            rule=table.spec,
            slot=slot,
            device=self.registry.ids[slot],
            at_ms=now_ms,
            observed_at_ms=now_ms,
            episode_start_ms=start_ms,
            position=position,
            value=None,
            quantity=table.spec.quantity,
            threshold=table.run.threshold,
            received_at_ms=now_ms,
            canary=bool(self.registry.canary[slot]),
        )

    # -- commit -------------------------------------------------------------------------------------------------------

    def commit(self, found: Found) -> None:
        """Remembers what `evaluate` or `tick` found. Call it once, after the desk has recorded the events."""
        if found.tick_ms is not None:
            self.last_heard_ms = _leapt(self.last_heard_ms, found.unheard_ms, found.tick_ms)
            for table in self.tables if found.leap_ms else ():
                table.cells.since_ms = _leapt(table.cells.since_ms, found.leap_ms, found.tick_ms)
            self.last_tick_ms = found.tick_ms
        if found.deaf is not None:
            self.deaf = found.deaf
        for table, cell, cells in found.changes:
            table.write(cell, cells)
        if found.heard is not None:
            slots, received = found.heard
            self.last_heard_ms[slots] = received  # rows are in order of arrival: the last one stays

    # -- registry and rules change --------------------------------------------------------------------------------------

    def rebase(self, ruleset: RuleSet, registry: Registry, *, now_ms: int) -> list[ConditionEvent]:
        """Takes a new registry and rule set over, keeping the state of what both have.

        Slots are stable, so state moves by slot. A rule that changed its version starts afresh. Returns nothing to record yet.
        """
        old_tables = {t.spec.id: t for t in self.tables}
        old_heard = self.last_heard_ms
        self._build(ruleset, registry)
        self.last_heard_ms = np.full(len(registry), now_ms, np.int64)
        self.last_heard_ms[: len(old_heard)] = old_heard[: len(registry)]
        for table in self.tables:
            old = old_tables.get(table.spec.id)
            if old is None or old.spec.version != table.spec.version or not len(old.slot):
                continue
            back = np.full(len(registry), -1, np.int64)
            back[old.slot] = np.arange(len(old.slot))
            here = np.flatnonzero(back[table.slot] >= 0)
            table.write(here, old.read(back[table.slot[here]]))
        return []

    def seed(self, conditions: Iterable[tuple[str, str, int]]) -> int:
        """Marks (rule id, device id, episode start) as active: for a start without a snapshot, so that live alerts can clear.

        Returns how many were taken over.
        """
        tables = {t.spec.id: t for t in self.tables}
        taken = 0
        for rule_id, device_id, start_ms in conditions:
            table, slot = tables.get(rule_id), self.registry.slot_of.get(device_id)
            if table is None or slot is None:
                continue
            cell = table.cell_of(np.array([slot], np.int32))
            if cell[0] < 0:
                continue
            cells = table.read(cell)
            cells.state[:], cells.start_ms[:] = ACTIVE, start_ms
            table.write(cell, cells)
            taken += 1
        return taken

    def active(self, now_ms: int, position: int) -> list[ConditionEvent]:
        """Every condition that is active now, as the event that raised it (without its value)."""
        return [
            self._timed_event(table, "raised", int(table.slot[cell]), now_ms, position, int(table.cells.start_ms[cell]))
            for table in self.tables
            if table.awake
            for cell in np.flatnonzero(table.cells.state >= ACTIVE).tolist()
        ]


def _leapt(instants: Ints, leap_ms: int, now_ms: int) -> Ints:
    """`instants` on the far side of a leap of time up to `now_ms`: as long ago as they were before it."""
    return np.minimum(instants + leap_ms, now_ms) if leap_ms else instants


def _waves_of(member: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Indices of `member` split so that each holds every member at most once, in order of occurrence."""
    n = len(member)
    order = np.argsort(member, kind="stable")
    grouped = member[order]
    first = np.ones(n, bool)
    first[1:] = grouped[1:] != grouped[:-1]
    starts = np.flatnonzero(first)
    lengths = np.diff(np.append(starts, n))
    most = int(lengths.max())
    if most == 1:
        return [np.arange(n)]
    turn = np.empty(n, np.int64)
    turn[order] = np.arange(n) - np.repeat(starts, lengths)
    by_turn = np.argsort(turn, kind="stable")
    cuts = np.flatnonzero(np.diff(turn[by_turn])) + 1
    return np.split(by_turn, cuts)
