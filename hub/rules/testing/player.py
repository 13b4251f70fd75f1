"""Plays readings to the live engine on a time of its own: ticks as the journal brings them, without waiting for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

import numpy as np

from hub.model.readings import ReadingBatch
from hub.model.rules import ConditionEvent
from hub.rules.engine import Engine
from hub.rules.found import Found

TICK_MS = 1_000
STRIDE = 60
"""How many ticks to look ahead for something to happen: up to what the engine takes for a leap of time."""


class Player:
    """One engine, one timeline. `at_ms` is the last tick; ticks stand `TICK_MS` apart, as the live hub's do.

    Where nothing happens ticks are left out: the engine is asked what a later one would mean, which it answers without
    remembering, and only when that is something are the ticks before it looked at. So nothing is found late.
    """

    def __init__(
        self, engine: Engine, *, start_ms: int, tell: Callable[[Sequence[ConditionEvent]], None], position: int = 0
    ) -> None:
        self.engine, self.at_ms, self.position = engine, start_ms, position
        self._tell = tell
        self._stride = STRIDE
        limits = engine.registry.silence_limit_ms
        self._shortest_silence_ms = int(limits[limits > 0].min()) if (limits > 0).any() else 0
        self._awaited = frozenset(other for rule in engine.ruleset.rules for other in rule.refers_to)

    def take(self, batch: ReadingBatch) -> None:
        """One batch, found and remembered."""
        self.conclude(self.engine.evaluate(batch))

    def tick(self, now_ms: int) -> None:
        """The passing of time up to `now_ms`, found and remembered."""
        self._ticked(self.engine.tick(now_ms, self.position), now_ms)

    def advance(self, to_ms: int) -> None:
        """Lets time pass until the last tick at or before `to_ms`."""
        while to_ms - self.at_ms >= TICK_MS:
            steps = (to_ms - self.at_ms) // TICK_MS
            if steps > STRIDE and self._sleeps(steps):
                continue
            steps = min(steps, STRIDE)
            found = self.engine.tick(self.at_ms + steps * TICK_MS, self.position)
            if steps > 1 and not quiet(found):
                steps, found = self._first(steps, found)
            self._ticked(found, self.at_ms + steps * TICK_MS)

    def _sleeps(self, steps: int) -> bool:
        """Leaves out all ticks of a long stretch, or of the first half, quarter … of it, in which nothing can happen; whether
        there was any. Only where delays are all that runs: what was quiet at the end of one was quiet before."""
        engine, last_ms = self.engine, self.engine.last_tick_ms
        if engine.deaf or any(table.run.passing is not None and len(table.slot) for table in engine.tables):
            return False
        while steps > STRIDE:
            target_ms = self.at_ms + steps * TICK_MS
            engine.last_tick_ms = (
                target_ms - TICK_MS
            )  # as if it had ticked until then; a gap would be time that it was away
            found = engine.tick(target_ms, self.position)
            if quiet(found) and not found.excused:
                self._ticked(found, target_ms)
                return True
            steps //= 2
        engine.last_tick_ms = last_ms
        return False

    def _first(self, steps: int, found: Found) -> tuple[int, Found]:
        """The first tick at which something happens, given that something has at `steps` ticks from now."""
        before = 0
        while steps - before > 1:
            middle = (before + steps) // 2
            earlier = self.engine.tick(self.at_ms + middle * TICK_MS, self.position)
            if quiet(earlier):
                before = middle
            else:
                steps, found = middle, earlier
        return steps, found

    def run(self, batch: ReadingBatch) -> None:
        """Readings of any stretch of time, in its order, with the ticks between them; none may lie before the last tick.

        Many seconds are judged at once where no tick among them could mean anything: tried from the widest stretch down.
        """
        received = batch.received_at_ms
        n, i = len(batch), 0
        while i < n:
            self.advance(int(received[i]))
            end_ms = self.at_ms + self._stride * TICK_MS
            upto = int(np.searchsorted(received, end_ms, "left"))
            rows = batch if (i, upto) == (0, n) else batch.take(slice(i, upto))
            if self._stride > 1:
                calm = quiet(self.engine.tick(end_ms, self.position))
                found = self.engine.evaluate(rows) if calm else None
                if found is None or not self._timeless(found, end_ms - self.at_ms):
                    self._stride //= 2
                    continue
                self.conclude(found)
            else:
                self.take(rows)
            if upto < n:
                self.advance(end_ms)
            self._stride = min(2 * self._stride, STRIDE)
            i = upto

    def follow(self, parts: Sequence[tuple[ReadingBatch, int | None]]) -> None:
        """Readings and the tick behind them (None: there is none yet), again and again, as a journal has them."""
        n = 0
        while n < len(parts):
            size = max(1, min(self._stride, len(parts) - n))
            if size > 1 and not self._at_once(parts[n : n + size]):
                self._stride = size // 2
                continue
            if size == 1:
                batch, tick_ms = parts[n]
                if len(batch):
                    self.take(batch)
                if tick_ms is not None:
                    self.tick(tick_ms)
            self._stride = min(2 * max(1, self._stride), STRIDE)
            n += size

    def _at_once(self, parts: Sequence[tuple[ReadingBatch, int | None]]) -> bool:
        """Judges several parts as one if no tick but the last could mean anything; whether it did."""
        last_ms, since_ms = parts[-1][1], self.engine.last_tick_ms
        if last_ms is None or not 0 < last_ms - since_ms <= STRIDE * TICK_MS:
            return False
        if not quiet(self.engine.tick(last_ms, self.position)):
            return False
        batches = [batch for batch, _ in parts if len(batch)]
        if batches:
            found = self.engine.evaluate(batches[0] if len(batches) == 1 else _joined(batches))
            if not self._timeless(found, last_ms - since_ms):
                return False
            self.conclude(found)
        self.tick(last_ms)
        return True

    def _timeless(self, found: Found, stretch_ms: int) -> bool:
        """Whether no tick within the `stretch_ms` that `found` comes from could have meant anything, given that none would have
        without these readings: no delay that began among them is short enough to have run out, and nobody waits for a tick."""
        if found.deaf is not None or any(event.rule.id in self._awaited for event in found.events):
            return False
        for table, cells in found.changes:
            before, cell, run = table.cells, cells.cell, table.run
            delays: tuple[int, ...]
            if run.driven_by == "silence":
                delays = (run.silent_ms or self._shortest_silence_ms,)
            else:  # an inhibitable rule is raised by ticks alone
                delays = (run.hold_ms or table.inhibitable, run.clear_hold_ms)
            if run.passing is None and all(d == 0 or d >= stretch_ms for d in delays):
                continue
            same = (cells.state == before.state[cell]) & (cells.start_ms == before.start_ms[cell])
            if not (same & (cells.since_ms == before.since_ms[cell])).all():
                return False
        return True

    def _ticked(self, found: Found, now_ms: int) -> None:
        self.conclude(found)
        self.at_ms = now_ms
        self.position += 1

    def conclude(self, found: Found) -> None:
        """Tells the events and has the engine remember, as the desk's record and the commit do live."""
        if found.events:
            self._tell(found.events)
        self.engine.commit(found)


def _joined(batches: Sequence[ReadingBatch]) -> ReadingBatch:
    columns = {f.name: np.concatenate([getattr(batch, f.name) for batch in batches]) for f in fields(ReadingBatch)}
    return ReadingBatch(**columns)


def quiet(found: Found) -> bool:
    """Whether nothing happened and no state moved."""
    if found.events:
        return False
    for gathering, opened in found.gathered:
        known = gathering.groups
        if any(group.active != (area in known and known[area].active) for area, group in opened.items()):
            return False
    return all((cells.state == table.cells.state[cells.cell]).all() for table, cells in found.changes)
