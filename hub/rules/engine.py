"""The rules engine: evaluate → (the desk records) → commit. Evaluating remembers nothing, so a retry is harmless.

Time is the journal's: readings carry their receive time, and `tick` stands for the passing of it. The same events come out
wherever a batch is cut, because each device takes one step per reading (waves), in order. Rules that refer to others
(correlate, absence, inhibition) take their turn after those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hub.model.quantities import BY_CODE, CODE
from hub.model.readings import Quality, ReadingBatch
from hub.model.rules import ConditionEvent
from hub.registry.snapshot import Registry
from hub.rules.areas import Areas
from hub.rules.condition import ACTIVE, BETWEEN, BREACH, CLEAR, CLEARING, NORMAL, PENDING, UNKNOWN
from hub.rules.correlation import Correlation
from hub.rules.found import Found, Marked
from hub.rules.gathering import Gathering, Group
from hub.rules.inhibition import Inhibition
from hub.rules.narrow import NarrowIndex
from hub.rules.ruleset import RuleSet
from hub.rules.scope import Members, shared_out
from hub.rules.silence import Silence
from hub.rules.stepping import Stepper, members_of
from hub.rules.table import Bytes, Kinds, RuleTable, leapt, leapt_memory
from hub.rules.waiting import Start, Waiting, rows_among

_NOT_FOR_RULES = int(Quality.DUPLICATE | Quality.HISTORY | Quality.IMPLAUSIBLE)
_MAY_RAISE_LATE = np.array([bool(q.alarm) for q in BY_CODE])
_PLAIN, _RAISE_ONLY, _SKIP, _TEST = range(4)
_AWAY_MS = 60_000
"""Ticks come each second. A longer gap between two, or time that runs backwards, is no time that passed for the devices:
the hub was not there, or its clock was set. Silence and delays are counted without it."""


class Engine:
    """All rules over all devices. One owner thread."""

    def __init__(self, ruleset: RuleSet, registry: Registry, *, start_ms: int) -> None:
        self.start_ms = start_ms
        self.ruleset, self.registry = ruleset, registry
        self.last_heard_ms = np.full(len(registry), start_ms, np.int64)
        self.last_tick_ms = start_ms
        self.deaf = False  # the hub does not hear its broker: nobody's silence counts
        self._scratch = np.empty(len(registry), np.int32)
        self.areas = Areas(registry)
        self._stepper = Stepper(registry)
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
        self._inhibition = Inhibition(registry, self.areas, self.tables_of, self.correlations)
        silent = [table for table in self.tables if table.run.driven_by == "silence"]
        self._silence = Silence(silent, registry, self._stepper, self._inhibition)
        self._sort_out()

    def _sort_out(self) -> None:
        """Which tables a reading of a quantity concerns, and which wait for other rules."""
        self._by_quantity: dict[int, list[RuleTable]] = {}
        narrow: dict[int, list[RuleTable]] = {}
        self._mixed: list[tuple[RuleTable, tuple[int, ...]]] = []
        self._later: list[Waiting | Correlation] = []
        self._waiting: dict[int, Waiting] = {}  # by id of the table
        for turn in self.turns:
            if isinstance(turn, Correlation):
                self._later.append(turn)
                continue
            run = turn.run
            if run.driven_by == "silence":
                continue
            code = CODE[turn.spec.quantity]
            if run.triggers:
                self._waiting[id(turn)] = Waiting(turn, self.areas, self._stepper)
                self._later.append(self._waiting[id(turn)])
            elif run.also:
                self._mixed.append((turn, tuple({code, *(CODE[q] for q in run.also)})))
            elif turn.narrow:
                narrow.setdefault(code, []).append(turn)
            else:
                self._by_quantity.setdefault(code, []).append(turn)
        self._narrow = {code: NarrowIndex(tables) for code, tables in narrow.items()}

    def gatherings_of(self, table: RuleTable) -> list[Gathering]:
        """What `table` waits for."""
        waiting = self._waiting.get(id(table))
        return [] if waiting is None else waiting.gatherings

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
        edges = [0, *cuts.tolist(), len(batch)]
        rows_of = {int(sorted_quantity[begin]): by_quantity[begin:end] for begin, end in pairwise(edges)}
        for code, rows in rows_of.items():
            values, once = batch.value[rows], self._once(batch.slot[rows])
            for table in self._by_quantity.get(code, ()):
                if table.run.memory is not None:
                    self._remembered(table, batch, rows, once, roles, found, marked)
                    continue
                breach = table.run.breach(values)  # type: ignore[misc]
                if table.awake or breach.any():
                    self._plain(table, batch, rows, breach, once, roles, found, marked)
            index = self._narrow.get(code)
            for table, at in index.concerned(batch.slot[rows], values) if index is not None else ():
                if table.run.memory is not None:
                    self._remembered(table, batch, rows[at], once, roles, found, marked)
                else:
                    breach = table.run.breach(values[at])  # type: ignore[misc]
                    self._plain(table, batch, rows[at], breach, once, roles, found, marked)
        for table, codes in self._mixed:
            rows = rows_among(rows_of, codes)
            if len(rows):
                self._remembered(table, batch, rows, False, roles, found, marked)
        self._silence.hear(batch, found, marked)
        plain = None if roles is None else roles == _PLAIN
        for turn in self._later:
            if isinstance(turn, Correlation):
                self._correlate(turn, found, marked)
            else:
                turn.read(batch, rows_of, plain, found, marked)
        marked.sort(key=lambda m: m[:2])
        found.events = [event for _, _, event in marked if event.rule.alert]
        return found

    def _once(self, slots: NDArray[np.int32]) -> bool:
        """Whether no device is among `slots` twice."""
        turn = np.arange(len(slots), dtype=np.int32)
        self._scratch[slots] = turn
        return bool((self._scratch[slots] == turn).all())

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
        once: bool,
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
        unique, member = members_of(cell, once)
        keep = table.cells.state[unique] != NORMAL
        if member is None:
            keep |= breach
        else:
            keep[member[breach]] = True
            keep = keep[member]
        if not keep.any():
            return
        if not keep.all():
            rows = rows[keep]
            unique, member = members_of(cell[keep], once)
        cells = table.read(unique)
        signal = table.run.signals(batch.value[rows])  # type: ignore[misc]
        if roles is not None:
            role = roles[rows]
            for n in np.flatnonzero((role == _TEST) & (signal == BREACH)):
                marked.append(
                    (int(rows[n]), table.order, self._stepper.event(table, "test", batch, int(rows[n]), 0, {}))
                )
            signal[(role == _RAISE_ONLY) & (signal != BREACH)] = UNKNOWN
            signal[role >= _SKIP] = UNKNOWN
        self._stepper.waves(table, cells, batch, rows, member, signal, marked)
        found.changes.append((table, cells))

    def _remembered(
        self,
        table: RuleTable,
        batch: ReadingBatch,
        rows: NDArray[np.intp],
        once: bool,
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
        unique, member = members_of(cell, once)
        cells = table.read(unique)
        cells.calm = True  # until a step moves one
        self._stepper.waves(table, cells, batch, rows, member, None, marked)
        found.changes.append((table, cells))

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

    # -- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, position: int) -> Found:
        """What the passing of time up to `now_ms` means: delays that are over, devices silent for too long."""
        gap_ms = now_ms - self.last_tick_ms
        leap_ms = 0 if 0 <= gap_ms <= _AWAY_MS else gap_ms
        found = Found(tick_ms=now_ms, gap_ms=gap_ms, leap_ms=leap_ms, unheard_ms=gap_ms if self.deaf else leap_ms)
        for turn in self.turns:
            if isinstance(turn, Correlation):
                told = [event for event in found.events if turn.concerns(event)]
                if told or turn.gathering.aging or found.leap_ms:
                    opened: dict[int, Group] = {}
                    found.events += turn.tick(now_ms, leap_ms, position, told, opened)
                    found.gathered.append((turn.gathering, opened))
            elif turn.run.driven_by == "silence":
                self._silence.tick(turn, self.last_heard_ms, now_ms, position, found)
            else:
                self._timed(turn, now_ms, position, found)
        found.events = [event for event in found.events if event.rule.alert]
        return found

    def _timed(self, table: RuleTable, now_ms: int, position: int, found: Found) -> None:
        """Delays, what a kind says of the passing of time, and conditions of other rules that came or went with it."""
        run = table.run
        starts: list[Start] = []
        waiting = self._waiting.get(id(table))
        if waiting is not None:
            starts, opened = waiting.starts((0, event) for event in found.events)
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
        for start in starts:
            assert waiting is not None
            waiting.trigger(cells, start, marked)
        found.events += [event for _, _, event in marked]
        at = np.arange(len(cell))
        if run.passing is not None and cells.memory is not None:
            signal = run.passing(cells.memory, now_ms)
        else:
            signal = np.full(len(cell), UNKNOWN, np.uint8)
        blocked = self._inhibition.of(table, table.slot[cell], found)
        for kind, n in self._stepper.timed_step(
            table, cells, at, signal, now_ms, False if blocked is None else blocked
        ):
            found.events.append(self._stepper.timed_event(table, kind, cells, n, now_ms, position))
        found.changes.append((table, cells))

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
        events = [self._stepper.timed_event(table, "withdrawn", cells, n, now_ms, position) for n in range(len(cell))]
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
                found += [
                    self._stepper.timed_event(turn, "raised", cells, n, now_ms, position)
                    for n in range(len(cells.cell))
                ]
        return found


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
