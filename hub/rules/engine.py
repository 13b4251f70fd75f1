"""The rules engine: evaluate → (the desk records) → commit. Evaluating remembers nothing, so a retry is harmless.

Time is the journal's: readings carry their receive time, and `tick` stands for the passing of it. The same events come out
wherever a batch is cut, because each device takes one step per reading (waves), in order. Rules that refer to others
(correlate, absence, inhibition) take their turn after those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hub.model.quantities import BY_CODE, CODE, WANTED
from hub.model.readings import Ints, Quality, ReadingBatch
from hub.model.rules import ConditionEvent, EventKind
from hub.registry.snapshot import Registry
from hub.rules.areas import Areas
from hub.rules.condition import ACTIVE, BETWEEN, BREACH, CLEAR, CLEARING, NORMAL, PENDING, UNKNOWN
from hub.rules.correlation import Correlation
from hub.rules.gathering import Gathering, Group
from hub.rules.kinds.kind import Look
from hub.rules.narrow import NarrowIndex
from hub.rules.ruleset import RuleSet
from hub.rules.scope import Members, shared_out
from hub.rules.table import Bytes, Cells, Kinds, RuleTable, Slots, leapt, leapt_memory

_ONLINE = CODE["online"]
_SAID_TO_IT = np.isin(np.arange(len(BY_CODE)), [CODE[wanted] for wanted in WANTED.values()])
"""Quantities of commands: others said them to the device, which may be dead."""
_NOT_FOR_RULES = int(Quality.DUPLICATE | Quality.HISTORY | Quality.IMPLAUSIBLE)
_MAY_RAISE_LATE = np.array([bool(q.alarm) for q in BY_CODE])
_PLAIN, _RAISE_ONLY, _SKIP, _TEST = range(4)
_AWAY_MS = 60_000
"""Ticks come each second. A longer gap between two, or time that runs backwards, is no time that passed for the devices:
the hub was not there, or its clock was set. Silence and delays are counted without it."""

Marked = list[tuple[int, int, ConditionEvent]]
"""(row, turn of the rule, event)"""


@dataclass(slots=True)
class Found:
    """What a batch or tick means: events in order, and the state to remember once they are recorded."""

    events: list[ConditionEvent] = field(default_factory=list)
    changes: list[tuple[RuleTable, Cells]] = field(default_factory=list)
    gathered: list[tuple[Gathering, dict[int, Group]]] = field(default_factory=list)
    heard: tuple[Slots, Ints] | None = None
    excused: list[NDArray[np.int64]] = field(default_factory=list)  # slots whose silence has a known cause
    tick_ms: int | None = None
    gap_ms: int = 0
    leap_ms: int = 0  # by how much time leapt before `tick_ms`
    unheard_ms: int = 0  # how much of the time before `tick_ms` is no silence of the devices
    deaf: bool | None = None  # whether the hub hears its broker, if that changed


class Engine:
    """All rules over all devices. One owner thread."""

    def __init__(self, ruleset: RuleSet, registry: Registry, *, start_ms: int) -> None:
        self.start_ms = start_ms
        self.ruleset, self.registry = ruleset, registry
        self.last_heard_ms = np.full(len(registry), start_ms, np.int64)
        self.last_tick_ms = start_ms
        self.deaf = False  # the hub does not hear its broker: nobody's silence counts
        self.areas = Areas(registry)
        self._hub = registry.slot_of.get("hub", -1)
        kinds, members = Kinds(registry), Members(registry)
        self.turns: list[RuleTable | Correlation] = []
        self._tables_of: dict[str, list[RuleTable]] = {}
        for order, rule in enumerate(ruleset.in_turn()):
            if rule.run.driven_by == "conditions":
                if rule.spec.enabled:
                    self.turns.append(Correlation(order, rule, registry, self.areas, members, self._watched))
                continue
            tables = [
                RuleTable(order, one, slots, kinds)
                for one, slots in shared_out(rule, members)
                if one.spec.enabled and (len(slots) or one is rule)
            ]
            self.turns += tables
            self._tables_of[rule.spec.id] = tables
        self.tables = [turn for turn in self.turns if isinstance(turn, RuleTable)]
        self.correlations = [turn for turn in self.turns if isinstance(turn, Correlation)]
        self._sort_out()

    def _sort_out(self) -> None:
        """Which tables a reading of a quantity concerns, and which wait for other rules."""
        self._by_quantity: dict[int, list[RuleTable]] = {}
        narrow: dict[int, list[RuleTable]] = {}
        self._mixed: list[tuple[RuleTable, NDArray[np.int16]]] = []
        self._silence: list[RuleTable] = []
        self._quantities: dict[int, NDArray[np.int16]] = {}
        self._waiting: list[RuleTable | Correlation] = []
        self.gatherings: dict[int, list[Gathering]] = {}  # by id of the table
        for turn in self.turns:
            if isinstance(turn, Correlation):
                self._waiting.append(turn)
                continue
            run = turn.run
            if run.driven_by == "silence":
                self._silence.append(turn)
                continue
            codes = np.array([CODE[q] for q in (turn.spec.quantity, *run.also)], np.int16)
            self._quantities[id(turn)] = codes
            if run.triggers:
                self.gatherings[id(turn)] = [Gathering(t.area, t.rules, 0) for t in run.triggers]
                self._waiting.append(turn)
            elif run.also:
                self._mixed.append((turn, codes))
            elif turn.narrow:
                narrow.setdefault(int(codes[0]), []).append(turn)
            else:
                self._by_quantity.setdefault(int(codes[0]), []).append(turn)
        self._narrow = {code: NarrowIndex(tables) for code, tables in narrow.items()}

    def tables_of(self, rule_id: str) -> list[RuleTable]:
        """The tables of a rule and its overrides."""
        return self._tables_of.get(rule_id, [])

    def _watched(self, rule_id: str) -> NDArray[np.int64]:
        """Slots that a rule watches."""
        tables = self._tables_of.get(rule_id, ())
        parts = [table.slot.astype(np.int64) for table in tables]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    # -- evaluate -----------------------------------------------------------------------------------------------------

    def evaluate(self, batch: ReadingBatch) -> Found:
        """What `batch` means under the current state. Remembers nothing; `commit` does."""
        found = Found()
        if not len(batch):
            return found
        marked: Marked = []
        roles = self._roles(batch)
        by_quantity = np.argsort(batch.quantity, kind="stable")
        sorted_quantity = batch.quantity[by_quantity]
        cuts = np.flatnonzero(sorted_quantity[1:] != sorted_quantity[:-1]) + 1
        for rows in np.split(by_quantity, cuts):
            code = int(batch.quantity[rows[0]])
            values = batch.value[rows]
            for table in self._by_quantity.get(code, ()):
                if table.run.memory is not None:
                    self._remembered(table, batch, rows, roles, found, marked)
                    continue
                breach = table.run.breach(values)  # type: ignore[misc]
                if table.awake or breach.any():
                    self._plain(table, batch, rows, breach, roles, found, marked)
            index = self._narrow.get(code)
            for table, at in index.concerned(batch.slot[rows], values) if index is not None else ():
                if table.run.memory is not None:
                    self._remembered(table, batch, rows[at], roles, found, marked)
                else:
                    self._plain(table, batch, rows[at], table.run.breach(values[at]), roles, found, marked)  # type: ignore[misc]
        for table, codes in self._mixed:
            rows = np.flatnonzero(np.isin(batch.quantity, codes))
            if len(rows):
                self._remembered(table, batch, rows, roles, found, marked)
        self._hear(batch, found, marked)
        for turn in self._waiting:
            if isinstance(turn, Correlation):
                self._correlate(turn, found, marked)
            else:
                self._await(turn, batch, roles, found, marked)
        marked.sort(key=lambda m: m[:2])
        found.events = [event for _, _, event in marked if event.rule.alert]
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

    def _plain(
        self,
        table: RuleTable,
        batch: ReadingBatch,
        rows: NDArray[np.intp],
        breach: NDArray[np.bool_],
        roles: Bytes | None,
        found: Found,
        marked: Marked,
    ) -> None:
        """Readings for a rule without memory: only those that could change something are stepped."""
        cell = table.cell_of(batch.slot[rows])
        watched = cell >= 0
        if not watched.all():
            rows, cell, breach = rows[watched], cell[watched], breach[watched]
            if not len(rows):
                return
        unique, member = np.unique(cell, return_inverse=True)
        touched = table.cells.state[unique] != NORMAL
        touched[member[breach]] = True
        keep = touched[member]
        if not keep.any():
            return
        if not keep.all():
            rows = rows[keep]
            unique, member = np.unique(cell[keep], return_inverse=True)
        cells = table.read(unique)
        signal = table.run.signals(batch.value[rows])  # type: ignore[misc]
        if roles is not None:
            role = roles[rows]
            for n in np.flatnonzero((role == _TEST) & (signal == BREACH)):
                marked.append((int(rows[n]), table.order, self._event(table, "test", batch, int(rows[n]), 0, {})))
            signal[(role == _RAISE_ONLY) & (signal != BREACH)] = UNKNOWN
            signal[role >= _SKIP] = UNKNOWN
        self._waves(table, cells, batch, rows, member, signal, marked)
        found.changes.append((table, cells))

    def _remembered(
        self,
        table: RuleTable,
        batch: ReadingBatch,
        rows: NDArray[np.intp],
        roles: Bytes | None,
        found: Found,
        marked: Marked,
    ) -> None:
        """Readings for a rule with memory: each one that counts is judged."""
        if roles is not None:
            rows = rows[roles[rows] == _PLAIN]
        cell = table.cell_of(batch.slot[rows])
        watched = cell >= 0
        rows, cell = rows[watched], cell[watched]
        if not len(rows):
            return
        unique, member = np.unique(cell, return_inverse=True)
        cells = table.read(unique)
        self._waves(table, cells, batch, rows, member, None, marked)
        found.changes.append((table, cells))

    def _waves(
        self,
        table: RuleTable,
        cells: Cells,
        batch: ReadingBatch,
        rows: NDArray[np.intp],
        member: NDArray[np.intp],
        signal: Bytes | None,
        marked: Marked,
    ) -> None:
        """Steps `cells` through `rows`, each device once per wave. `signal` None: the rule's memory judges."""
        for wave in _waves_of(member):
            at, here = member[wave], rows[wave]
            now_ms = batch.received_at_ms[here]
            if signal is None:
                assert table.run.judge is not None
                assert cells.memory is not None
                memory = cells.memory[at]
                look = Look(
                    quantity=batch.quantity[here],
                    value=batch.value[here],
                    at_ms=now_ms,
                    observed_ms=batch.observed_at_ms[here],
                )
                said = table.run.judge(look, memory)
                cells.memory[at] = memory
            else:
                said = signal[wave]
            before, after, chatters = table.step(cells, at, said, now_ms, table.inhibitable)
            turns = np.flatnonzero((before >= ACTIVE) != (after >= ACTIVE))
            for n in turns.tolist():
                kind: EventKind = "raised" if after[n] >= ACTIVE else "cleared"
                row, one = int(here[n]), int(at[n])
                evidence = _evidence(table, cells, one, int(now_ms[n])) if kind == "raised" else {}
                start = int(cells.start_ms[one])
                marked.append((row, table.order, self._event(table, kind, batch, row, start, evidence)))
                if n in chatters:
                    marked.append((row, table.order, self._event(table, "chatter", batch, row, start, {})))

    def _event(
        self,
        table: RuleTable,
        kind: EventKind,
        batch: ReadingBatch,
        row: int,
        start_ms: int,
        evidence: dict[str, object],
    ) -> ConditionEvent:
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
            evidence=evidence,
        )

    def _hear(self, batch: ReadingBatch, found: Found, marked: Marked) -> None:
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
        for table in self._silence:
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
            self._waves(table, cells, batch, rows, member, signal, marked)
            found.changes.append((table, cells))

    # -- rules that refer to others -----------------------------------------------------------------------------------

    def _correlate(self, turn: Correlation, found: Found, marked: Marked) -> None:
        told = sorted((m for m in marked if turn.concerns(m[2])), key=lambda m: m[:2])
        if not told:
            return
        opened: dict[int, Group] = {}
        for row, _, event in told:
            own = turn.told(event, opened)
            if own is not None:
                marked.append((row, turn.order, own))
        found.gathered.append((turn.gathering, opened))

    def _await(self, table: RuleTable, batch: ReadingBatch, roles: Bytes | None, found: Found, marked: Marked) -> None:
        """A rule that waits for others' conditions: its own readings and theirs, in the order in which they came."""
        rows = np.flatnonzero(np.isin(batch.quantity, self._quantities[id(table)]))
        if roles is not None:
            rows = rows[roles[rows] == _PLAIN]
        cell = table.cell_of(batch.slot[rows])
        rows, cell = rows[cell >= 0], cell[cell >= 0]
        starts, opened = self._starts(table, ((row, turn, e) for row, turn, e in sorted(marked, key=lambda m: m[:2])))
        if not len(rows) and not opened:
            return
        unique = np.unique(np.concatenate([cell.astype(np.int64), *(cells for _, _, _, cells in starts)]))
        cells = table.read(unique)
        done = 0
        for row, event, begins, concerned in starts:
            upto = int(np.searchsorted(rows, row, side="right"))
            self._stretch(table, cells, batch, rows[done:upto], cell[done:upto], marked)
            done = upto
            self._trigger(table, cells, np.searchsorted(unique, concerned), begins, event, row, marked)
        self._stretch(table, cells, batch, rows[done:], cell[done:], marked)
        found.changes.append((table, cells))
        found.gathered += opened

    def _stretch(
        self,
        table: RuleTable,
        cells: Cells,
        batch: ReadingBatch,
        rows: NDArray[np.intp],
        cell: NDArray[np.int32],
        marked: Marked,
    ) -> None:
        if len(rows):
            self._waves(table, cells, batch, rows, np.searchsorted(cells.cell, cell), None, marked)

    def _starts(
        self, table: RuleTable, events: Iterable[tuple[int, int, ConditionEvent]]
    ) -> tuple[list[tuple[int, ConditionEvent, bool, NDArray[np.int64]]], list[tuple[Gathering, dict[int, Group]]]]:
        """Where the first condition that `table` waits for begins in an area, or the last one ends: (row, event, begins, cells)."""
        starts: list[tuple[int, ConditionEvent, bool, NDArray[np.int64]]] = []
        gatherings = self.gatherings[id(table)]
        opened: list[dict[int, Group]] = [{} for _ in gatherings]
        for row, _, event in events:
            if event.kind not in ("raised", "cleared") or event.canary:
                continue
            for gathering, groups in zip(gatherings, opened, strict=True):
                if event.rule.id not in gathering.rules:
                    continue
                area = int(self.areas.of(gathering.level)[event.slot])
                if area < 0:
                    continue
                group = gathering.open(area, groups)
                before = group.lasting
                group.told(event, 0)
                if group.lasting != before:
                    cell = table.cell_of(self.areas.slots(gathering.level, area).astype(np.int32))
                    starts.append((row, event, not before, np.sort(cell[cell >= 0]).astype(np.int64)))
        return starts, [(g, groups) for g, groups in zip(gatherings, opened, strict=True) if groups]

    def _trigger(
        self,
        table: RuleTable,
        cells: Cells,
        at: NDArray[np.intp],
        begins: bool,
        event: ConditionEvent,
        row: int,
        marked: Marked,
    ) -> None:
        if not len(at):
            return
        assert table.run.triggered is not None
        assert cells.memory is not None
        memory = cells.memory[at]
        signal = table.run.triggered(memory, begins, event.at_ms)
        cells.memory[at] = memory
        for kind, n in self._timed_step(table, cells, at, signal, event.at_ms, table.inhibitable):
            own = self._timed_event(table, kind, cells, int(at[n]), event.at_ms, event.position)
            marked.append((row, table.order, own))

    # -- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, position: int) -> Found:
        """What the passing of time up to `now_ms` means: delays that are over, devices silent for too long."""
        gap_ms = now_ms - self.last_tick_ms
        leap_ms = 0 if 0 <= gap_ms <= _AWAY_MS else gap_ms
        found = Found(tick_ms=now_ms, gap_ms=gap_ms, leap_ms=leap_ms, unheard_ms=gap_ms if self.deaf else leap_ms)
        for turn in self.turns:
            if isinstance(turn, Correlation):
                told = [event for event in found.events if turn.concerns(event)]
                if told or turn.gathering.groups:
                    opened: dict[int, Group] = {}
                    found.events += turn.tick(now_ms, leap_ms, position, told, opened)
                    found.gathered.append((turn.gathering, opened))
            elif turn.run.driven_by == "silence":
                self._silent(turn, now_ms, position, found)
            else:
                self._timed(turn, now_ms, position, found)
        found.events = [event for event in found.events if event.rule.alert]
        return found

    def _timed(self, table: RuleTable, now_ms: int, position: int, found: Found) -> None:
        """Delays, what a kind says of the passing of time, and conditions of other rules that came or went with it."""
        run = table.run
        starts: list[tuple[int, ConditionEvent, bool, NDArray[np.int64]]] = []
        if run.triggers:
            starts, opened = self._starts(table, [(0, 0, event) for event in found.events])
            found.gathered += opened
        if not (table.awake or starts or run.passing is not None):
            return
        state = table.cells.state
        wanted = np.zeros(len(state), bool)
        if table.awake:
            wanted = (state == PENDING) | (state == CLEARING)
        if run.passing is not None:
            memory = table.cells.memory
            assert memory is not None
            if found.leap_ms:
                memory = leapt_memory(memory, found.leap_ms, now_ms)
            wanted |= _matters(state, run.passing(memory, now_ms))
        for _, _, _, concerned in starts:
            wanted[concerned] = True
        cell = np.flatnonzero(wanted)
        if not len(cell):
            return
        cells = table.read(cell)
        if found.leap_ms:
            table.leap_copy(cells, found.leap_ms, now_ms)
        marked: Marked = []
        for _, event, begins, concerned in starts:
            self._trigger(table, cells, np.searchsorted(cell, concerned), begins, event, 0, marked)
        found.events += [event for _, _, event in marked]
        at = np.arange(len(cell))
        if run.passing is not None and cells.memory is not None:
            signal = run.passing(cells.memory, now_ms)
        else:
            signal = np.full(len(cell), UNKNOWN, np.uint8)
        blocked = self._inhibited(table, table.slot[cell], found)
        for kind, n in self._timed_step(table, cells, at, signal, now_ms, False if blocked is None else blocked):
            found.events.append(self._timed_event(table, kind, cells, n, now_ms, position))
        found.changes.append((table, cells))

    def _silent(self, table: RuleTable, now_ms: int, position: int, found: Found) -> None:
        slots, state = table.slot, table.cells.state
        limit = np.int64(table.run.silent_ms) if table.run.silent_ms else self.registry.silence_limit_ms[slots]
        heard = leapt(self.last_heard_ms[slots], found.unheard_ms, now_ms)
        late = (now_ms - heard > limit) & (limit > 0) & (state == NORMAL)
        blocked = self._inhibited(table, slots, found)
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
        for kind, n in self._timed_step(table, cells, at, signal, now_ms, stopped):
            if kind == "raised" and late[cell[n]]:
                cells.start_ms[n] = starts[n]
            found.events.append(self._timed_event(table, kind, cells, n, now_ms, position))
        found.changes.append((table, cells))

    def _timed_step(
        self,
        table: RuleTable,
        cells: Cells,
        at: NDArray[np.intp],
        signal: Bytes,
        now_ms: int,
        blocked: NDArray[np.bool_] | bool,
    ) -> Iterator[tuple[EventKind, int]]:
        """One step at one time; what began and ended, as (kind, index into `at`)."""
        before, after, chatters = table.step(cells, at, signal, np.full(len(at), now_ms, np.int64), blocked)
        for n in np.flatnonzero((before >= ACTIVE) != (after >= ACTIVE)).tolist():
            yield ("raised" if after[n] >= ACTIVE else "cleared"), n
            if n in chatters:
                yield "chatter", n

    def _timed_event(
        self, table: RuleTable, kind: EventKind, cells: Cells, at: int, now_ms: int, position: int
    ) -> ConditionEvent:
        slot = int(table.slot[cells.cell[at]])
        return ConditionEvent(
            kind=kind,
            rule=table.spec,
            slot=slot,
            device=self.registry.ids[slot],
            at_ms=now_ms,
            observed_at_ms=now_ms,
            episode_start_ms=int(cells.start_ms[at]),
            position=position,
            value=None,
            quantity=table.spec.quantity,
            threshold=table.run.threshold,
            received_at_ms=now_ms,
            canary=bool(self.registry.canary[slot]),
            evidence=_evidence(table, cells, at, now_ms) if kind == "raised" else {},
        )

    # -- inhibition -----------------------------------------------------------------------------------------------------

    def _inhibited(self, table: RuleTable, slots: Slots, found: Found) -> NDArray[np.bool_] | None:
        """Which of `slots` keep quiet because a rule that explains them is active, or None when none do."""
        blocked: NDArray[np.bool_] | None = None
        for inhibitor in table.rule.inhibitors:
            active = self._active_slots(inhibitor.rule, found)
            if not len(active):
                continue
            if inhibitor.where == "parent":
                parent = self.registry.parent[slots]
                hit = np.isin(parent, active) & (parent >= 0)
            else:
                codes = self.areas.of(inhibitor.where)
                here = codes[active]
                hit = np.isin(codes[slots], here[here >= 0])
            blocked = hit if blocked is None else blocked | hit
        return None if blocked is None or not blocked.any() else blocked

    def _active_slots(self, rule_id: str, found: Found) -> NDArray[np.int64]:
        """Devices for which a rule is active, with what this tick has already found."""
        parts = []
        for table in self._tables_of.get(rule_id, ()):
            changed = next((cells for one, cells in found.changes if one is table), None)
            if not table.awake and changed is None:
                continue
            state = table.cells.state
            if changed is not None:
                state = state.copy()
                state[changed.cell] = changed.state
            parts.append(table.slot[np.flatnonzero(state >= ACTIVE)].astype(np.int64))
        for correlation in self.correlations:
            if correlation.spec.id == rule_id:
                groups = dict(correlation.gathering.groups)
                for gathering, opened in found.gathered:
                    if gathering is correlation.gathering:
                        groups.update(opened)
                parts.append(np.array([g.holder for g in groups.values() if g.active], np.int64))
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    # -- commit -------------------------------------------------------------------------------------------------------

    def commit(self, found: Found) -> None:
        """Remembers what `evaluate` or `tick` found. Call it once, after the desk has recorded the events."""
        if found.tick_ms is not None:
            self.last_heard_ms = leapt(self.last_heard_ms, found.unheard_ms, found.tick_ms)
            if found.excused and not found.unheard_ms:
                slots = np.unique(np.concatenate(found.excused))
                self.last_heard_ms[slots] = np.minimum(self.last_heard_ms[slots] + found.gap_ms, found.tick_ms)
            if found.leap_ms:
                for table in self.tables:
                    table.leap(found.leap_ms, found.tick_ms)
            self.last_tick_ms = found.tick_ms
        if found.deaf is not None:
            self.deaf = found.deaf
        for table, cells in found.changes:
            table.write(cells)
        for gathering, opened in found.gathered:
            gathering.commit(opened)
        if found.heard is not None:
            heard, received = found.heard
            self.last_heard_ms[heard] = received  # rows are in order of arrival: the last one stays

    def active_of(self, rule_id: str) -> list[tuple[int, int]]:
        """(slot, episode start) wherever a rule is active."""
        found = [
            (int(table.slot[cell]), int(table.cells.start_ms[cell]))
            for table in self.tables_of(rule_id)
            for cell in np.flatnonzero(table.cells.state >= ACTIVE).tolist()
        ]
        for turn in self.correlations:
            if turn.spec.id == rule_id:
                found += [(group.holder, group.start_ms) for group in turn.gathering.groups.values() if group.active]
        return found

    def withdrawn(
        self, table: RuleTable, cell: NDArray[np.int64], now_ms: int, position: int, why: Callable[[int], str]
    ) -> list[ConditionEvent]:
        """That the conditions of `cell` are no longer watched, as events; `why` gives the reason by slot."""
        cells = table.read(cell)
        events = [self._timed_event(table, "withdrawn", cells, n, now_ms, position) for n in range(len(cell))]
        return [replace(event, reason=why(event.slot)) for event in events]

    def active(self, now_ms: int, position: int) -> list[ConditionEvent]:
        """Every condition that is active now, as the event that raised it (without its value)."""
        found: list[ConditionEvent] = []
        for turn in self.turns:
            if not turn.spec.alert:
                continue
            if isinstance(turn, Correlation):
                found += turn.active(now_ms, position)
            elif turn.awake:
                cells = turn.read(np.flatnonzero(turn.cells.state >= ACTIVE))
                found += [self._timed_event(turn, "raised", cells, n, now_ms, position) for n in range(len(cells.cell))]
        return found


def _evidence(table: RuleTable, cells: Cells, at: int, now_ms: int) -> dict[str, object]:
    """What made the rule fire, beyond the value itself."""
    run = table.run
    evidence: dict[str, object] = {}
    if run.hold_ms:
        evidence |= {"hold_s": run.hold_ms / 1_000, "held_since_ms": int(cells.since_ms[at])}
    if run.samples > 1:
        evidence["samples"] = run.samples
    if run.figure is not None and cells.memory is not None:
        figure = float(run.figure(cells.memory[at : at + 1])[0])
        if figure == figure and abs(figure) != float("inf"):
            evidence |= {"figure": round(figure, 6), "figure_unit": run.figure_unit}
    if table.spec.origin:
        evidence["override"] = table.spec.origin
    return evidence


def _matters(state: Bytes, signal: Bytes) -> NDArray[np.bool_]:
    """Whether a signal could change a cell, or its running delay."""
    idle = (
        (signal == UNKNOWN)
        | ((signal == CLEAR) & (state == NORMAL))
        | ((signal == BREACH) & (state == ACTIVE))
        | ((signal == BETWEEN) & ((state == NORMAL) | (state == ACTIVE)))
    )
    matters: NDArray[np.bool_] = ~idle | (state == PENDING) | (state == CLEARING)
    return matters


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
